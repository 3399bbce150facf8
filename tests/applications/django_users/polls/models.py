from django.conf import settings
from django.db import models


class Poll(models.Model):
    question = models.CharField(max_length=200)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT)

    class Meta:
        permissions = [("can_vote", "Can vote")]


class MySiteProfile(models.Model):
    """As in chapter 12 of the Django Book; `AUTH_PROFILE_MODULE` named it then."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    favorite_band = models.CharField(max_length=100, blank=True)
    favorite_cheese = models.CharField(max_length=100, blank=True)
    likes_cheese = models.BooleanField(default=True)
    lucky_number = models.IntegerField(null=True)

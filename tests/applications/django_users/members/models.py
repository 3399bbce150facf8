from django.contrib.auth.models import AbstractUser
from django.db import models


class Member(AbstractUser):
    member_since = models.IntegerField(default=1990)

from django.contrib.auth.models import AbstractUser
from django.db import models


class Member(AbstractUser):
    member_since = models.IntegerField(db_default=1990)

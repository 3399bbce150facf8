"""Users come from the gateway: the headers that it sets say who is asking."""

from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.contrib.auth.models import Group


class VestibuleMiddleware(RemoteUserMiddleware):
    header = "HTTP_REMOTE_USER"


class VestibuleBackend(RemoteUserBackend):
    """Copies name, address and groups whenever somebody arrives with a new session of Django's."""

    def configure_user(self, request, user, created=True):
        def told(header):
            # WSGI hands over bytes as Latin-1; the gateway writes UTF-8.
            return request.META.get(header, "").encode("latin-1").decode()

        user.first_name, _, user.last_name = told("HTTP_REMOTE_NAME").partition(" ")
        user.email = told("HTTP_REMOTE_EMAIL")
        names = [name for name in told("HTTP_REMOTE_GROUPS").split(",") if name]
        user.is_staff = user.is_superuser = "Site editors" in names
        user.save()
        user.groups.set([Group.objects.get_or_create(name=name)[0] for name in names])
        return user

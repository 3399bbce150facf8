from django.contrib import admin
from django.http import JsonResponse
from django.urls import path, re_path


def seen(request):
    """What the gateway says of the visitor."""
    return JsonResponse({
        "user": request.headers.get("Remote-User"),
        "groups": request.headers.get("Remote-Groups"),
        "band": request.headers.get("X-Band"),
    })


urlpatterns = [path("django-admin/", admin.site.urls), re_path("", seen)]

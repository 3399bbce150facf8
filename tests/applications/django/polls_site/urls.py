from django.contrib import admin, messages
from django.http import JsonResponse
from django.shortcuts import redirect
from django.urls import path


def whoami(request):
    """Who Django believes is asking, and what its session has."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    user = request.user
    return JsonResponse(
        {
            "user": user.username or None,
            "name": user.get_full_name() if user.is_authenticated else None,
            "groups": sorted(group.name for group in user.groups.all()),
            "visits": request.session["visits"],
            "messages": [str(message) for message in messages.get_messages(request)],
            "cookies": sorted(request.COOKIES),
            "url": request.build_absolute_uri(),
        }
    )


def vote(request):
    messages.success(request, "Your vote was counted, thank you.")
    return redirect("/")


urlpatterns = [
    path("", whoami),
    path("public/", whoami),
    path("vote/", vote),
    path("admin/", admin.site.urls),
]

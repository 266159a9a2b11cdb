"""What Daphne serves: Django's pages, and Channels' WebSockets and worker messages (``dashboard.routing``)."""

import os
import sys

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
try:
    pages = get_asgi_application()
except ImproperlyConfigured as error:
    sys.exit(f"Spreadboard cannot start. {error}")

from dashboard import routing  # which needs Django to be set up

application = ProtocolTypeRouter({"http": pages, "websocket": routing.websocket, "channel": routing.channel})

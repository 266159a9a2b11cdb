"""Where WebSockets and the worker's messages go; ``asgi`` puts it beside Django."""

from channels.routing import ChannelNameRouter, URLRouter
from channels.security.websocket import WebsocketDenier
from django.urls import path, re_path

from dashboard import server
from dashboard.consumers import BrowserConsumer
from dashboard.groups import FEEDS_CHANNEL
from dashboard.worker import FeedsConsumer

websocket = URLRouter([path("ws/", BrowserConsumer.as_asgi()), re_path(r"", WebsocketDenier.as_asgi())])
channel = ChannelNameRouter({FEEDS_CHANNEL: FeedsConsumer.as_asgi()})

server.install()

"""``manage.py signinlink [USER]``: a link that signs in once, for whoever has no password or has forgotten it."""

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard import auth


class Command(BaseCommand):
    help = "Print a link that signs a user in once, within 15 minutes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="?", help="whom it signs in; the first user if left out")
        parser.add_argument("--create", action="store_true", help="make the user if there is none of this name")

    def handle(self, *args: Any, **options: Any) -> None:
        user = named_user(options["user"], create=options["create"])
        self.stdout.write(auth.address_of(auth.new_link(user)))


def named_user(name: str | None, *, create: bool = False) -> User:
    """The active user of this name, or the first one. Raises CommandError."""
    if name is None:
        return auth.first_user()
    user = User.objects.filter(username=name).first()
    if user is None and create:
        user = User(username=name)
        user.set_unusable_password()
        try:
            user.full_clean()
        except ValidationError as error:
            raise CommandError(f"{name!r} cannot be a user's name: {' '.join(error.messages)}") from None
        user.save()
    if user is None:
        names = ", ".join(User.objects.order_by("username").values_list("username", flat=True)) or "nobody yet"
        raise CommandError(f"There is no user {name!r}; there is {names}. --create makes one.")
    if not user.is_active:
        raise CommandError(f"User {name!r} is not active.")
    return user

"""``manage.py apitoken USER``: a token for programs that use the REST API or the WebSocket."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from dashboard import auth
from dashboard.management.commands.signinlink import named_user
from dashboard.models import ApiToken


class Command(BaseCommand):
    help = "Print a new API token of a user; or list or revoke the present ones. A token is shown only once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="?", help="whose rights the token has; the first user if left out")
        parser.add_argument("--label", default="", help="what it is for, at most 50 characters")
        parser.add_argument("--list", action="store_true", help="list this user's tokens by number and label")
        parser.add_argument("--revoke", type=int, metavar="NUMBER", help="end a token")

    def handle(self, *args: Any, **options: Any) -> None:
        user = named_user(options["user"])
        mine = ApiToken.objects.filter(user=user).order_by("pk")
        if options["list"]:
            for token in mine:
                self.stdout.write(f"{token.pk}  {token.created:%Y-%m-%d}  {token.label}")
        elif options["revoke"] is not None:
            if not mine.filter(pk=options["revoke"]).delete()[0]:
                raise CommandError(f"{user.get_username()} has no token {options['revoke']}.")
            self.stdout.write(f"Token {options['revoke']} is revoked.")
        elif len(options["label"]) > 50:
            raise CommandError("--label has more than 50 characters.")
        else:
            self.stdout.write(auth.new_api_token(user, options["label"]))

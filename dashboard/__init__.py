"""The Django project and its one app: sign-in, pages, REST API, database, and the way to the feeds' worker."""

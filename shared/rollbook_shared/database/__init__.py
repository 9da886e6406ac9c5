"""What both sides know of Postgres: tables, views, and connections that time out."""

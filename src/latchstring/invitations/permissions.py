"""Permissions that the service of invitations asks for."""

READ = "invitations:read"
WRITE = "invitations:write"
REVEAL = "invitations:reveal"

"""Permissions that the invitation services check."""

READ = "invitations:read"
WRITE = "invitations:write"
REVEAL = "invitations:reveal"

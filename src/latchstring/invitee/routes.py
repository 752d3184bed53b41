"""All pages for people, under their full paths."""

from latchstring.http.routing import Route
from latchstring.invitee import decline as declining
from latchstring.invitee import landing, profile, recovery
from latchstring.invitee import sign_in as signing_in
from latchstring.invitee.routing import page_error

__all__ = ["page_error", "routes"]

routes: list[Route] = [
    signing_in.show_start,
    signing_in.show_login,
    signing_in.log_in,
    signing_in.log_out,
    landing.show_landing,
    landing.show_content_landing,
    landing.accept,
    landing.show_arrived,
    landing.switch_account,
    declining.show_decline,
    declining.decline,
    declining.show_declined,
    declining.request_new,
    declining.show_requested,
    recovery.show_password_reset,
    recovery.request_password_reset,
    recovery.show_password_reset_sent,
    recovery.reset_password,
    recovery.show_verify_email,
    recovery.verify_email,
    recovery.show_verified,
    recovery.request_verification,
    recovery.show_verification_sent,
    profile.show_profile,
    profile.change_profile,
    profile.accept_terms,
]

"""All routes of the invitee pages."""

from latchstring.http.routing import Route
from latchstring.invitee import decline, landing, profile, recovery, sign_in
from latchstring.invitee.routing import page_error

__all__ = ["page_error", "routes"]

routes: list[Route] = [
    sign_in.show_start,
    sign_in.show_login,
    sign_in.log_in,
    sign_in.log_out,
    landing.show_landing,
    landing.show_content_landing,
    landing.accept,
    landing.show_arrived,
    landing.switch_account,
    decline.show_decline,
    decline.decline,
    decline.show_declined,
    decline.request_new,
    decline.show_requested,
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

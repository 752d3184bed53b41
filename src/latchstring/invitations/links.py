"""Links of invitations: derived from the invitation and the master key, the same each time, never stored."""

from dataclasses import dataclass
from urllib.parse import quote

from latchstring.crypto.link_tokens import MASK, LinkToken, LinkTokens, Purpose, TokenRefused, mask_token
from latchstring.domain.errors import InvitationNotPending, InvitationTokenInvalid
from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.settings import App, ContentRules, InvitationRules

UNKNOWN_LINK = "Unknown or incomplete invitation link. Open it again from the mail."


@dataclass(frozen=True, slots=True)
class Links:
    """Creates the links of invitations and reads their tokens."""

    tokens: LinkTokens
    app: App
    rules: InvitationRules
    content_rules: ContentRules

    def token_of(self, invitation: Invitation, channel: Channel) -> str:
        """The token of the current generation. Raises TokenRefused when its master key was removed."""
        link = invitation.link
        token = LinkToken(invitation.id, link.generation, channel, link.starts_at, link.expires_at)
        return self.tokens.sign(Purpose.INVITATION, token, master_key_id=link.master_key_id)

    def url_of(self, invitation: Invitation, channel: Channel) -> str:
        """The link. Raises InvitationNotPending when its master key was removed."""
        try:
            token = self.token_of(invitation, channel)
        except TokenRefused:
            raise InvitationNotPending("The key of this link was removed. Resend the invitation.") from None
        target = self._target_of(invitation)
        return f"{target}{'&' if '?' in target else '?'}token={quote(token, safe='')}"

    def _target_of(self, invitation: Invitation) -> str:
        """The URL of the landing page."""
        grant = invitation.bundle.single_object
        if grant is None:
            return self.rules.accept_url.replace("{publicUrl}", self.app.public_url)
        return (
            self.content_rules.accept_url.replace("{publicUrl}", self.app.public_url)
            .replace("{contentType}", quote(grant.target_type or "", safe=""))
            .replace("{contentKey}", quote(grant.target_key, safe=""))
        )

    def secret_of(self, invitation: Invitation) -> str:
        """The mailed token, masked: only the last characters of its signature are visible."""
        try:
            return mask_token(self.token_of(invitation, Channel.MAILED))
        except TokenRefused:
            return MASK

    def read(self, token: str) -> LinkToken:
        """The content of a genuine token. Raises InvitationTokenInvalid for all others alike."""
        try:
            return self.tokens.verify(Purpose.INVITATION, token)
        except TokenRefused:
            raise InvitationTokenInvalid(UNKNOWN_LINK) from None

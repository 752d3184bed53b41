"""Links: made from an invitation and the master key, the same each time, stored nowhere."""

from dataclasses import dataclass
from urllib.parse import quote

from latchstring.crypto.link_tokens import MASK, LinkToken, LinkTokens, Purpose, TokenRefused, mask_token
from latchstring.domain.errors import InvitationNotPending, InvitationTokenInvalid
from latchstring.domain.invitation import Channel, Invitation
from latchstring.domain.settings import App, ContentRules, InvitationRules

NOT_OURS = "This link is not one of ours, or a part of it is missing. Open it again from the mail."


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links of invitations and reads what comes back."""

    tokens: LinkTokens
    app: App
    rules: InvitationRules
    content_rules: ContentRules

    def token_of(self, invitation: Invitation, channel: Channel) -> str:
        """The token of the current generation. Raises TokenRefused when its master key has been given up."""
        link = invitation.link
        token = LinkToken(invitation.id, link.generation, channel, link.starts_at, link.expires_at)
        return self.tokens.sign(Purpose.INVITATION, token, master_key_id=link.master_key_id)

    def url_of(self, invitation: Invitation, channel: Channel) -> str:
        """The whole link. Raises InvitationNotPending when its master key has been given up."""
        try:
            token = self.token_of(invitation, channel)
        except TokenRefused:
            raise InvitationNotPending("The key of this link was given up. Resend the invitation.") from None
        target = self._target_of(invitation)
        return f"{target}{'&' if '?' in target else '?'}token={quote(token, safe='')}"

    def _target_of(self, invitation: Invitation) -> str:
        """The page that answers: an invitation to one object and nothing else has its own."""
        bundle = invitation.bundle
        if not bundle.is_content_only or len(bundle.content) > 1:
            return self.rules.accept_url.replace("{publicUrl}", self.app.public_url)
        (grant,) = bundle.content
        return (
            self.content_rules.accept_url.replace("{publicUrl}", self.app.public_url)
            .replace("{contentType}", quote(grant.target_type or "", safe=""))
            .replace("{contentKey}", quote(grant.target_key, safe=""))
        )

    def secret_of(self, invitation: Invitation) -> str:
        """What may be shown of the mailed link's token: the last characters of its signature."""
        try:
            return mask_token(self.token_of(invitation, Channel.MAILED))
        except TokenRefused:
            return MASK

    def read(self, text: str) -> LinkToken:
        """What a genuine token says. Raises InvitationTokenInvalid for all others alike."""
        try:
            return self.tokens.verify(Purpose.INVITATION, text)
        except TokenRefused:
            raise InvitationTokenInvalid(NOT_OURS) from None

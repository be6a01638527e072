import { CircleCheck, TriangleAlert } from "lucide-react";
import type { AuthConfig } from "@/session/useSession";
import { CopyButton } from "@/ui/copy-button";
import { Card } from "@/ui/page";

/** What signing in needs, and who may: for administrators. */
export function SignInSetup({ config }: { config: AuthConfig }) {
  const setup = config.setup!;
  const who = [...setup.allowed_domains.map((d) => `@${d}`), ...setup.allowed_emails, ...setup.admins].join(", ");
  return (
    <Card title="Sign-in">
      <div className="space-y-2 px-4 pb-4">
        {config.sign_in ? (
          <p className="flex items-center gap-2">
            <CircleCheck aria-hidden className="size-4 text-accent" /> People sign in with {config.provider === "google" ? "Google" : setup.issuer}.
          </p>
        ) : (
          <p className="flex items-start gap-2">
            <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-warning" />
            <span>
              People cannot sign in yet. To be set: <strong className="font-medium">{setup.missing.join(", ")}</strong>.
            </span>
          </p>
        )}
        {setup.redirect_uri.startsWith("http") && (
          <p className="flex flex-wrap items-center gap-x-2">
            <span>Redirect URI to register with the provider:</span> <code className="font-mono break-all">{setup.redirect_uri}</code> <CopyButton text={setup.redirect_uri} label="Copy the redirect URI" />
          </p>
        )}
        {config.sign_in && <p className="text-muted">Who may: {who || "everybody whom the provider knows, as only this machine reaches the gateway"}, and who is invited here.</p>}
        {config.sign_in && setup.role_claim && <p className="text-muted">Roles come from the claim {setup.role_claim}, unless they are set here.</p>}
        {config.sign_in && !setup.saves_provider_keys && <p className="text-muted">People cannot save keys of providers: AI_GATEWAY_ENCRYPTION_KEY is not set.</p>}
      </div>
    </Card>
  );
}

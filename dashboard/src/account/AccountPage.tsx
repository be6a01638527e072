import { useSession } from "@/session/useSession";
import { Empty } from "@/ui/feedback";
import { Card, Page } from "@/ui/page";
import { ProviderKeyCard } from "./ProviderKeyCard";
import { SessionsCard } from "./SessionsCard";

export function AccountPage() {
  const { data: session } = useSession();
  return (
    <Page title="Account">
      {session && !session.user_id && (
        <Card>
          <Empty title="Accounts are for people who sign in">You have come with a key, or this gateway is open.</Empty>
        </Card>
      )}
      {session?.user_id && (
        <div className="space-y-4">
          <Card title="You">
            <p className="px-4 pb-4">
              {session.user_id}, {session.role}. <span className="text-muted">Usage is booked to {session.user_id}.</span>
            </p>
          </Card>
          <ProviderKeyCard />
          <SessionsCard />
        </div>
      )}
    </Page>
  );
}

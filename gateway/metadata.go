package gateway

import "strings"

// The contract between the agent, which makes a plan, Envoy's configuration and script,
// which carry it out and note what passes, and the access log, in which Envoy writes both.
// No client can set dynamic metadata, and none of it is a header.
//
// Its form has a version, which is part of each namespace's name: a plan in a form that
// Envoy's configuration does not know matches no route, and is refused until Envoy has the
// configuration of the same version.
const contractVersion = "v1"

// Namespaces of the dynamic metadata. The agent sets all but the last.
const (
	PlanNamespace   = "aigw." + contractVersion        // of every planned request
	RouteNamespace  = "aigw.route." + contractVersion  // the backends, for Envoy's priority_group
	ClientNamespace = "aigw.client." + contractVersion // where a backend may have the client's own key
	SeenNamespace   = "aigw.seen." + contractVersion   // noted by the script of each attempt
)

// PlanNamespaces are those that the agent sets.
func PlanNamespaces() []string { return []string{PlanNamespace, RouteNamespace, ClientNamespace} }

// Keys of PlanNamespace. Those from PlanModel on are there only where a model's backends
// know it by several names, or where some of them refuse to be asked for a stream's usage;
// those from PlanAskedFrom on there alone.
const (
	PlanID         = "id"         // the request's, minted by the agent
	PlanRequestID  = "request_id" // the client's label
	PlanPath       = "path"       // below a backend's base, "/chat/completions"
	PlanMethod     = "method"     // of a stored response: "GET"; absent for POST of others
	PlanQuery      = "query"      // what of the client's query goes there, without the question mark; absent for none
	PlanSeveral    = "several"    // "true" where the plan has several backends
	PlanFirstByte  = "first_byte" // how long until an answer begins, in milliseconds, where that is bound
	PlanModel      = "model"      // the name that stands in the body
	PlanLength     = "length"     // of the body, in decimal digits
	PlanModelFrom  = "model_from" // a number: where the name's JSON string begins in the body
	PlanModelTo    = "model_to"   // and ends
	PlanModelAt    = "model@"     // followed by a step's number, from 1 on: the model's name there
	PlanAskedFrom  = "asked_from" // a number: where what asks for the usage begins in the body
	PlanAskedTo    = "asked_to"   // and ends
	PlanAskedWas   = "asked_was"  // what stands there for a backend that is not asked
	PlanSilentAt   = "silent@"    // followed by a backend's name: it is not asked
	RouteGroups    = "priority_groups"
	RouteGroupName = "name"
	RouteClusters  = "clusters"     // of a group, where Envoy has no list of the backends
	RouteCluster   = "cluster_name" // of an element of it
	RouteWeight    = "weight"       // likewise, a number
	RouteBackend   = "backend"      // the plan's first, likewise: an Envoy older than 1.40 chooses the cluster by it
)

// Keys of ClientNamespace.
const (
	ClientKey    = "authorization" // with its scheme, "Bearer sk-…"
	ClientAPIKey = "x-api-key"     // for backends that have keys there
	ClientToken  = "token"         // as ClientKey, for the same backends, where the client has no key
)

// clusterPrefix keeps the names of backends apart from those of other clusters: an Envoy that the
// gateway is attached to has its own.
const clusterPrefix = "gateway/backend/"

// ClusterOf is the name of a backend's cluster in Envoy.
func ClusterOf(backend string) string { return clusterPrefix + backend }

// BackendOf is the backend of a cluster. Clusters of others, and those that an access log of an
// earlier version names, have no prefix.
func BackendOf(cluster string) string { return strings.TrimPrefix(cluster, clusterPrefix) }

// Keys of SeenNamespace.
const (
	SeenUsage = "usage" // as ReadSeen reads it
	SeenTries = "tries" // "|backend start status headers" for each call, times in milliseconds since 1970
)

// RefusalDetails are Envoy's response code details of the agent's own refusals, whose body
// is an envelope already.
const RefusalDetails = "aigw"

// Fields of a line of the access log.
const (
	LineVersion   = "v" // absent before there was one
	LineID        = "id"
	LineUsage     = "usage" // SeenUsage
	LineTries     = "tries" // SeenTries
	LineStatus    = "status"
	LineDuration  = "duration_ms"
	LineTTFT      = "ttft_ms"
	LineAttempts  = "attempts"
	LineBackend   = "backend"
	LineBytesSent = "bytes_sent"
	LineFlags     = "flags"
	LineDetails   = "details"
	LineParent    = "traceparent"
	LineState     = "tracestate"
)

// AccessLogVersion is the form of the access log's lines. A reader knows older ones, too,
// and counts a line of a newer one as unread.
const AccessLogVersion = 1

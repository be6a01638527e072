package gateway

import "time"

// EnvoyStatus is what is known of the Envoys that ask for their configuration.
type EnvoyStatus struct {
	Version      string     // of what was published last
	Envoys       int        // connected now
	Secrets      int        // published last: an Envoy that gets all else from another server connects for these alone
	EnvoyVersion string     // of the last one that connected
	OneBackend   bool       // that one is older than 1.40: a request goes to one backend
	Rejected     *Rejection // the last refusal, until the same type was accepted
}

// Rejection is what Envoy said when it refused a resource.
type Rejection struct {
	At      time.Time
	TypeURL string
	Reason  string
}

// LedgerStats are how far the rows are behind the requests.
type LedgerStats struct {
	Open      int           // running requests, and those whose row a late report may still complete
	Unwritten int           // rows that are not in the store yet
	OldestAge time.Duration // of what the write-ahead log keeps
	Lag       time.Duration // for which the store has taken no row that it was given; 0 while it does
	Written   int64         // rows since the start
	Unpriced  int64         // of them, those whose model has no price
	Unread    int64         // unreadable records and lines
	Rejected  int64         // rows that the store refuses whatever happens: they are lost
	Refused   int64         // requests, as they could not be recorded
	LastError string        // what the ledger cannot do now, and why; "" when all is well
	WAL       WALStats
}

// WALStats are what the write-ahead log holds.
type WALStats struct {
	Bytes    int64 // on disk
	Segments int   // files
	Repaired int64 // bytes that were torn or damaged
	Lost     int64 // settlements that could not be written; their rows are made from Envoy's access log
}

// LimitStats are how the limiter is doing.
type LimitStats struct {
	Service string // that counts; "" counts in this process
	Closed  bool   // requests are refused while the limiter cannot be asked
	Refused int64  // requests
	Missed  int64  // requests whose limits could not be asked
	Away    string // why the limiter cannot be asked now; "" if it can
	Lost    int64  // tokens that could not be charged
	Waiting int    // charges that wait for the service
	Counts  int    // counters in memory
	Use     int    // percent of the counters that one period may have, of the fullest one
}

// NearFull is the percentage of counters from which on operators are warned.
const NearFull = 90

// BudgetStats are how the budgets are doing.
type BudgetStats struct {
	Closed   bool   // requests are refused while the store cannot be asked
	Refused  int64  // requests
	Away     string // why the store cannot be asked now; "" if it can
	Accounts int    // budgets of which something is leased
	Holds    int    // requests for which money is held
}

// ExchangeStats are how much the exchanges with Envoy have in hand.
type ExchangeStats struct {
	Open           int64 // exchanges
	RequestBytes   int64 // of request bodies in memory
	UncountedBytes int64 // of text whose tokens are still to be counted
}

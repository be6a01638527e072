package auth

import (
	"net/netip"
	"sync"
	"time"
)

// failures counts wrong keys by the client's address. Each address has a bucket of attempts that
// refills steadily. Callers with a valid key are never affected.
type failures struct {
	mu      sync.Mutex
	full    map[netip.Prefix]time.Time // when each address's bucket is full again; a past time means full
	cleaned time.Time
}

const (
	failuresAtOnce = 20              // wrong keys of an address in a row
	failureRefill  = 3 * time.Second // until one more is allowed
	maxAddresses   = 16 << 10        // remembered at a time
)

func newFailures() *failures { return &failures{full: map[netip.Prefix]time.Time{}} }

// count notes a wrong key, and returns how long the next one should wait; 0 while the
// address may fail.
func (f *failures) count(client string, now time.Time) time.Duration {
	of := networkOf(client)
	f.mu.Lock()
	defer f.mu.Unlock()
	full, known := f.full[of]
	if full.Before(now) {
		full = now
	}
	full = full.Add(failureRefill)
	if over := full.Sub(now) - failuresAtOnce*failureRefill; over > 0 {
		return over // the bucket is empty, and does not get emptier
	}
	if !known {
		f.makeRoom(now)
	}
	f.full[of] = full
	return 0
}

// isOver reports whether an address has failed too often, without counting anything.
func (f *failures) isOver(client string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.full[networkOf(client)].Sub(now) > (failuresAtOnce-1)*failureRefill
}

// makeRoom removes addresses that have not failed for a while, or any address if there is none, so
// that failures from many addresses cost no more memory.
func (f *failures) makeRoom(now time.Time) {
	if len(f.full) < maxAddresses {
		return
	}
	if now.Sub(f.cleaned) >= failureRefill {
		f.cleaned = now
		for of, full := range f.full {
			if !full.After(now) {
				delete(f.full, of)
			}
		}
	}
	for of := range f.full {
		if len(f.full) < maxAddresses {
			return
		}
		delete(f.full, of)
	}
}

// networkOf is what counts as one address: for IPv6 the network that a household gets. All invalid
// addresses count as one.
func networkOf(client string) netip.Prefix {
	a, err := netip.ParseAddr(client)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 64
	}
	of, _ := a.Prefix(bits) // cannot fail: bits is in range
	return of
}

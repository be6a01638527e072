package envoy

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pieces are as many as it takes to see each at its place.
func pieces() Pieces {
	return Pieces{
		Filters:    [][]byte{[]byte(`{"name":"gateway.one","disabled":true}`), []byte(`{"name":"gateway.two","typed_config":{"text":"a\n  b\n"}}`)},
		Routes:     [][]byte{[]byte(`{"name":"gateway/models","match":{"path":"/v1/models"}}`)},
		Clusters:   [][]byte{[]byte(`{"name":"gateway/xds"}`)},
		AccessLogs: [][]byte{[]byte(`{"name":"journal"}`)},
		Replies:    [][]byte{[]byte(`{"filter":{}}`)},
		ADS:        []byte(`{"api_type":"DELTA_GRPC"}`), CDS: []byte(`{"ads":{}}`),
	}
}

// files are configurations as people write them, and where in them the gateway is to be.
func files(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/attach/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		if all[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

var shop = Place{Listener: "https"} // of edge.yaml

func TestWhatIsAddedIsTakenOutAgainToTheByte(t *testing.T) {
	for name, text := range files(t) {
		at := Place{}
		if name == "edge.yaml" {
			at = shop
		}
		merged, _, err := Attach(text, at, pieces())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, added := range []string{"gateway.one", "gateway/models", "gateway/xds", "journal", "ads_config", "static_layer"} {
			if !bytes.Contains(merged, []byte(added)) {
				t.Errorf("%s: there is no %s in it", name, added)
			}
		}
		back, err := Detach(merged)
		if diff := cmp.Diff(string(text), string(back)); err != nil || diff != "" {
			t.Errorf("%s: %v (- first, + now)\n%s", name, err, diff)
		}
	}
}

func TestAFileThatHasChangedSinceKeepsItsChanges(t *testing.T) {
	text := files(t)["front-proxy.yaml"]
	merged, _, err := Attach(text, Place{}, pieces())
	if err != nil {
		t.Fatal(err)
	}
	change := func(b []byte) string {
		return strings.ReplaceAll(string(b), "port_value: 8000", "port_value: 8001 # moved")
	}
	back, err := Detach([]byte(change(merged)))
	if diff := cmp.Diff(change(text), string(back)); err != nil || diff != "" {
		t.Errorf("%v (- first, + now)\n%s", err, diff)
	}
}

func TestTheOrderOfFiltersAndRoutesIsRight(t *testing.T) {
	merged, at, err := Attach(files(t)["edge.yaml"], shop, pieces())
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, name := range []string{"gateway/models", "name: catalogue", "jwt_authn", "local_ratelimit", "gateway.one", "gateway.two", "# the router is last, always"} {
		place := strings.Index(string(merged), name)
		if place < last {
			t.Errorf("%q stands too early in\n%s", name, merged)
		}
		last = place
	}
	want := Summary{Place{"https", "shop"}, []string{"envoy.filters.http.jwt_authn", "envoy.filters.http.local_ratelimit"}, "127.0.0.1:9901"}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

// TestWhatIsNotUnderstoodIsRefusedWithItsLine changes a good file in one place.
func TestWhatIsNotUnderstoodIsRefusedWithItsLine(t *testing.T) {
	text := string(files(t)["edge.yaml"])
	for name, c := range map[string]struct {
		at       Place
		from, to string
		want     string
	}{
		"several hosts":          {Place{}, "", "", "several virtual hosts fit: name one by --listener and --virtual-host\n  line 22: listener \"http\", virtual host \"to-https\"\n  line 67: listener \"https\", virtual host \"shop\""},
		"no such host":           {Place{VirtualHost: "none"}, "", "", `line 9: no listener "" has a virtual host "none"`},
		"attached already":       {shop, "admin:\n", "# ai-gateway attach: begin\nadmin:\n", "line 4: the gateway is attached here already"},
		"not YAML":               {shop, "admin:\n", "admin: [\n", "it is not YAML"},
		"two documents":          {shop, "static_resources:", "---\nstatic_resources:", "a second document begins here"},
		"an odd line break":      {shop, "the shop:", "the\u2028shop:", "line 1: there is a line break here"},
		"no static resources":    {shop, "static_resources:", "other:", "line 4: there are no static_resources"},
		"routes from elsewhere":  {shop, "route_config:\n            name: shop", "rds:\n            name: shop", "line 64: these routes come from elsewhere (rds)"},
		"a list that is used":    {shop, "  clusters:\n  - name: catalogue", "  x: &c []\n  clusters: *c\n  y:\n  - name: catalogue", "must not be an alias (*c)"},
		"the router is not last": {shop, "http.router.v3.Router\n\n  clusters", "http.buffer.v3.Buffer\n\n  clusters", "line 103: the last HTTP filter is not the router"},
		"a server for clusters":  {shop, "admin:\n", "dynamic_resources: {cds_config: {ads: {}}}\nadmin:\n", "line 4: this Envoy has a server for its clusters already (cds_config)"},
		"a name of ours":         {shop, "- name: catalogue\n    type", "- name: gateway/xds\n    type", "there is a cluster \"gateway/xds\" already"},
		"clusters twice":         {shop, "  clusters:\n", "  clusters: []\n  clusters:\n", `"clusters" is here twice`},
		"clusters are no list":   {shop, "  clusters:\n  - name: catalogue", "  clusters: none\n  x:\n  - name: catalogue", `"clusters" must be a list`},
	} {
		if !strings.Contains(text, c.from) {
			t.Errorf("%s: there is no %q", name, c.from)
		}
		_, _, err := Attach([]byte(strings.Replace(text, c.from, c.to, 1)), c.at, pieces())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestTornMarksAreRefused(t *testing.T) {
	for _, text := range []string{beginMark + "\n", endMark + "\n", beginMark + "\n" + endInlineMark + "\n", beginMark + "\n" + beginMark + "\n" + endMark} {
		if _, err := Detach([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestAnyLineMayBeMissingOrPushedApart changes each line of each file: what is left is refused, or
// taken, and then nothing else of it changes. That Attach itself finds such a change is a fault.
func TestAnyLineMayBeMissingOrPushedApart(t *testing.T) {
	for name, text := range files(t) {
		lines := bytes.SplitAfter(text, []byte("\n"))
		for i, line := range lines {
			indent := line[:len(line)-len(bytes.TrimLeft(line, " "))]
			for _, instead := range [][]byte{nil, slices.Concat([]byte("\n"), line), slices.Concat([]byte("# a comment\n"), line), slices.Concat(indent, []byte("# a comment: of this\n"), line), slices.Concat(line, []byte("\n   # a comment\n"))} {
				changed := slices.Concat(bytes.Join(lines[:i], nil), instead, bytes.Join(lines[i+1:], nil))
				merged, _, err := Attach(changed, Place{VirtualHost: "shop"}, pieces())
				if name != "edge.yaml" {
					merged, _, err = Attach(changed, Place{}, pieces())
				}
				if errors.Is(err, errChanged) {
					t.Fatalf("%s, line %d, %q: %v", name, i+1, instead, err)
				}
				if err != nil {
					continue
				}
				if back, err := Detach(merged); err != nil || !bytes.Equal(back, changed) {
					t.Errorf("%s, line %d, %q: it is not taken out again: %v", name, i+1, instead, err)
				}
			}
		}
	}
}

// FuzzAttach checks that any file is refused, or taken with nothing else changed: Attach compares
// by itself, so it must never find a fault of its own.
func FuzzAttach(f *testing.F) {
	for _, text := range files(f) {
		f.Add(text, "")
		f.Add(text, "https")
	}
	f.Fuzz(func(t *testing.T, text []byte, listener string) {
		merged, _, err := Attach(text, Place{Listener: listener}, pieces())
		if err != nil {
			return
		}
		if back, err := Detach(merged); err != nil || !bytes.Equal(back, text) {
			t.Errorf("it is not taken out again: %v", err)
		}
	})
}

func TestAnAddressOfAnotherMachineIsRefused(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:9901": "", "[::1]:9901": "", "localhost:9901": "", "/run/envoy/admin.sock": "",
		"10.0.0.7:9901": "an agent runs on the host of its Envoy", "envoy.example.com:9901": "an agent runs on the host of its Envoy", "0.0.0.0:9901": "on this machine",
		"127.0.0.1": "HOST:PORT", "127.0.0.1:0": "an integer from 1 to 65535", "127.0.0.1:x": "an integer from 1 to 65535",
	} {
		_, err := AdminAt(address)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

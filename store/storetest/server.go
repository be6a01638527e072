// Package storetest starts real PostgreSQL servers for tests, each in a temporary folder, on a
// Unix socket, and without safety against power cuts.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Server is a PostgreSQL server.
type Server struct {
	bin, dir string
	port     int // on loopback; 0 for only the socket
	settings []string
	cmd      *exec.Cmd
	ended    chan error
}

const (
	readyWithin = 60 * time.Second
	stopWithin  = 20 * time.Second
)

// NewServer makes a server and starts it. Settings are those of postgresql.conf, "name=value".
func NewServer(settings ...string) (_ *Server, err error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, settings: settings}
	if err := errors.Join(s.init(), s.Start()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// NewStandby makes a server that follows another one synchronously, and starts it.
func (s *Server) NewStandby() (_ *Server, err error) {
	dir, err := os.MkdirTemp("", "standby-")
	if err != nil {
		return nil, err
	}
	standby := &Server{bin: s.bin, dir: dir, settings: s.settings}
	cmd, err := standby.command("pg_basebackup", "--host", s.dir, "--username", "postgres", "--pgdata", standby.data(), "--write-recovery-conf",
		"--checkpoint", "fast", "--no-sync")
	if err == nil {
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("copying a PostgreSQL cluster: %w\n%s", err, out)
		}
	}
	if err == nil {
		err = standby.Start()
	}
	if err == nil {
		err = s.Exec("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
	}
	if err != nil {
		return nil, errors.Join(err, standby.Remove())
	}
	return standby, nil
}

// Promote makes a standby a primary.
func (s *Server) Promote() error { return s.Exec("postgres", "SELECT pg_promote()") }

// URLOfBoth is the URL of a database on either of two servers.
func (s *Server) URLOfBoth(other *Server, database string) string {
	query := url.Values{"host": {s.dir + "," + other.dir}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database, RawQuery: query.Encode()}).String()
}

// ListenTCP makes a server also listen on a free port of loopback, from its next start on.
func (s *Server) ListenTCP() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	return l.Close()
}

// findPostgres finds the newest installed PostgreSQL.
func findPostgres() (string, error) {
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(folders, func(a, b string) int { return versionOf(b) - versionOf(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, "initdb")); err == nil {
			return folder, nil
		}
	}
	return "", errors.New("no PostgreSQL is installed: `make test-setup` installs it on Debian, or says what is missing")
}

// versionOf is the version in a folder's path; 0 if it has none.
func versionOf(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	return n
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) init() error {
	cmd, err := s.command("initdb", "--pgdata", s.data(), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making a PostgreSQL cluster: %w\n%s", err, out)
	}
	return nil
}

// command is one of PostgreSQL's programs.
func (s *Server) command(name string, args ...string) (*exec.Cmd, error) {
	return s.asOwner(exec.Command(filepath.Join(s.bin, name), args...))
}

// asOwner runs a command as another user if the test is root, because PostgreSQL refuses root.
func (s *Server) asOwner(cmd *exec.Cmd) (*exec.Cmd, error) {
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	dieWithUs(cmd.SysProcAttr)
	if os.Getuid() != 0 {
		return cmd, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no user for it: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return cmd, os.Chown(s.dir, int(uid), int(gid))
}

// Start starts the server and waits until it answers.
func (s *Server) Start() error {
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=60",
		"-c", "log_min_messages=fatal", "-c", "log_min_error_statement=panic"}
	if s.port != 0 {
		args = append(args, "-c", "listen_addresses=127.0.0.1", "-p", strconv.Itoa(s.port))
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd, err := s.command("postgres", args...)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	s.cmd, s.ended = cmd, make(chan error, 1)
	go func() { s.ended <- cmd.Wait() }()
	return s.waitReady()
}

func (s *Server) waitReady() error {
	for end := time.Now().Add(readyWithin); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-s.ended:
			s.ended <- err
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("PostgreSQL ended at once: %v\n%s", err, log)
		default:
		}
		if s.Exec("postgres", "SELECT 1") == nil {
			return nil
		}
	}
	return fmt.Errorf("PostgreSQL was not ready within %s", readyWithin)
}

// URL returns the URL of one of its databases.
func (s *Server) URL(database string) string {
	query := url.Values{"host": {s.dir}, "sslmode": {"disable"}}
	if s.port != 0 {
		query.Set("port", strconv.Itoa(s.port))
	}
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database, RawQuery: query.Encode()}).String()
}

// Dump is all that is in one of its databases, as SQL.
func (s *Server) Dump(database string) ([]byte, error) {
	cmd, err := s.command("pg_dump", "--dbname", s.URL(database))
	if err != nil {
		return nil, err
	}
	var fault bytes.Buffer
	cmd.Stderr = &fault
	dump, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("dumping the database %q: %w: %s", database, err, fault.String())
	}
	return dump, nil
}

// Exec runs statements in one of its databases, each in its own transaction.
func (s *Server) Exec(database string, statements ...string) error {
	db, err := open(s.URL(database))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Kill ends all its processes at once, as when its machine loses power.
func (s *Server) Kill() error {
	return s.end(syscall.SIGQUIT) // ends the children at once; with SIGKILL they would notice later
}

// Stop ends it orderly, even with clients connected.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

func (s *Server) end(signal syscall.Signal) error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(stopWithin):
		return errors.Join(errors.New("PostgreSQL did not end"), s.cmd.Process.Kill())
	}
	s.cmd = nil
	return nil
}

// Hang stops all its processes until Resume.
func (s *Server) Hang() error { return s.signalAll(syscall.SIGSTOP) }

// Resume continues them.
func (s *Server) Resume() error { return s.signalAll(syscall.SIGCONT) }

// fullAt is the largest size of a file on a "full disk". A segment of PostgreSQL's own log fits, or
// the server would end. Half of a table's last page fits, which PostgreSQL reports as a full disk;
// if no part of it did, PostgreSQL would report a file that is too large.
const fullAt = 16<<20 + 4096

// FillDisk limits the server's files to 16 MiB until FreeDisk, like a full disk. Unlike a small
// disk, this needs no right to mount.
func (s *Server) FillDisk() error { return s.limitFiles(strconv.Itoa(fullAt)) }

// FreeDisk ends FillDisk.
func (s *Server) FreeDisk() error { return s.limitFiles("unlimited") }

// limitFiles sets the soft limit of the server's processes, the one that starts others first.
func (s *Server) limitFiles(size string) error {
	pid := s.cmd.Process.Pid
	if err := s.limitFilesOf(pid, size); err != nil {
		return err
	}
	children, err := childrenOf(pid)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := s.limitFilesOf(child, size); err != nil && !errors.Is(syscall.Kill(child, 0), syscall.ESRCH) {
			return err
		}
	}
	return nil
}

// limitFilesOf does it as the owner of the process, who needs no privilege.
func (s *Server) limitFilesOf(pid int, size string) error {
	cmd, err := s.asOwner(exec.Command("prlimit", "--pid", strconv.Itoa(pid), "--fsize="+size+":"))
	if err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("limiting the files of process %d: %w\n%s", pid, err, out)
	}
	return nil
}

func (s *Server) signalAll(signal syscall.Signal) error {
	pids, err := childrenOf(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	errs := []error{s.cmd.Process.Signal(signal)}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Remove ends the server and removes its folder.
func (s *Server) Remove() error {
	return errors.Join(s.end(syscall.SIGQUIT), os.RemoveAll(s.dir))
}

package main

import "path/filepath"

// runFiles are the names in the private folder of one `run`: sockets and other files that are
// removed when it ends.
type runFiles string

func (d runFiles) path(name string) string { return filepath.Join(string(d), name) }

func (d runFiles) bootstrap() string   { return d.path("envoy.yaml") }
func (d runFiles) adminSocket() string { return d.path("admin.sock") }
func (d runFiles) xdsSocket() string   { return d.path("xds.sock") }
func (d runFiles) extProc() string     { return d.path("extproc.sock") }
func (d runFiles) agentSocket() string { return d.path("agent.sock") }
func (d runFiles) apiSocket() string   { return d.path("api.sock") }
func (d runFiles) demoSocket() string  { return d.path("demo.sock") }
func (d runFiles) goodConfig() string  { return d.path("good.yaml") }
func (d runFiles) id() string          { return d.path("gateway.id") }
func (d runFiles) database() string    { return d.path("gateway.db") }
func (d runFiles) drain() string       { return d.path("drain") }
func (d runFiles) drained() string     { return d.path("drained") }
func (d runFiles) databaseURL() string { return d.path("database.url") }

// stateFiles are the names in the state folder, which the next `run` uses again.
type stateFiles string

func (d stateFiles) wal() string       { return filepath.Join(string(d), "spool") }
func (d stateFiles) accessLog() string { return filepath.Join(string(d), "journal.log") }
func (d stateFiles) secret() string    { return filepath.Join(string(d), "key-id.secret") }
func (d stateFiles) runFolder() string { return filepath.Join(string(d), "run-folder") }

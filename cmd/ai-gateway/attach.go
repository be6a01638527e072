package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"ai-gateway/control"
	"ai-gateway/envoy"
	"ai-gateway/pricing"
	"ai-gateway/xds"
)

// defaultRunFolder is where an attached agent has its sockets.
const defaultRunFolder = "/run/ai-gateway"

// The versions of Envoy that the gateway is attached to.
const (
	firstAttachable = 36 // 1.36
	withGroups      = 40 // 1.40 chooses a cluster for each attempt
)

// attachment is what the flags of `attach` say.
type attachment struct {
	world
	place     envoy.Place
	prefix    string
	health    bool // the agent answers /health and /livez, also without a prefix
	off       []string
	runFolder string
	loopback  string // first port of the agent; "" for sockets in the run folder
	accessLog string
	version   string
	extProc   []string // names that the filter may have which asks the agent, where the mesh makes it; nil for our own
	single    bool     // the mesh cannot pass on that a cluster is chosen for each attempt

	showDiff, remove bool
}

func (w world) attachCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "attach",
		Short: "Add the gateway to an Envoy that you run already",
		Long: `Add the gateway to an Envoy that you run already: behind a route of its own, with an agent
(serve --role agent --attached) next to it. docs/attach.md has the whole way.`,
	}
	cmd.AddCommand(w.attachEnvoyCommand(), w.attachResourcesCommand(), w.attachEnvoyGatewayCommand(), w.attachIstioCommand(), w.attachContourCommand())
	return cmd
}

func (w world) attachEnvoyCommand() *cobra.Command {
	a := attachment{world: w}
	cmd := &cobra.Command{
		Use:   "envoy FILE",
		Short: "Print a static configuration of Envoy's with the gateway in it",
		Long: `Print a static configuration of Envoy's, in YAML, with the gateway in it: every other byte stays
as it is. FILE "-" reads the standard input. What is not understood is refused, with its line.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.envoy(cmd, args[0]) },
	}
	a.flags(cmd)
	a.loopbackFlag(cmd)
	cmd.Flags().BoolVar(&a.showDiff, "diff", false, "print the difference instead, as `patch` reads it")
	cmd.Flags().BoolVar(&a.remove, "remove", false, "take the gateway out again: of a file that has not changed since, this gives the first bytes back")
	cmd.Flags().StringVar(&a.place.Listener, "listener", "", "name of the listener, where several would do")
	cmd.Flags().StringVar(&a.place.VirtualHost, "virtual-host", "", "name of the virtual host, likewise")
	return cmd
}

// flags are those that all forms of an attachment have.
func (a *attachment) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.prefix, "prefix", "", "what all of the gateway's paths begin with, such as /ai; left out, they are those of OpenAI's API, /v1/chat/completions and so on")
	cmd.Flags().BoolVar(&a.health, "health", false, "have the agent answer /health and /livez too, before any route of yours; below a prefix it does anyway")
	cmd.Flags().StringArrayVar(&a.off, "without-filter", nil, "name of an HTTP filter of yours that shall not run for the gateway's requests; may be given several times")
	cmd.Flags().StringVar(&a.runFolder, "run-folder", defaultRunFolder, "folder of the agent's sockets, as `serve --run-folder` has it")
	cmd.Flags().StringVar(&a.accessLog, "access-log", "", "journal.log in the agent's state folder, which Envoy writes and the agent reads, as Envoy knows its path; left out, it is where this configuration has that folder")
	cmd.Flags().StringVar(&a.version, "envoy-version", "1."+strconv.Itoa(withGroups), "version of that Envoy, from 1."+strconv.Itoa(firstAttachable)+" on")
}

// loopbackFlag is for where Envoy takes addresses of loopback: Envoy Gateway refuses them in a Backend.
func (a *attachment) loopbackFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.loopback, "loopback", "", "reach the agent at ports of this machine's loopback instead of sockets, from this one on, such as 127.0.0.1:9810, as `serve --loopback` has it")
}

func (a *attachment) envoy(cmd *cobra.Command, file string) error {
	text, err := readFileOrInput(cmd, file)
	if err != nil {
		return err
	}
	if filepath.Ext(file) == ".json" {
		return fmt.Errorf("%s: in JSON there is no place for the marks by which --remove finds what was added: rename it to .yaml, as all JSON is YAML", file)
	}
	result, err := a.edit(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if a.showDiff {
		result = diff.Diff(file, text, file, result)
	}
	_, err = a.stdout.Write(result)
	return err
}

func readFileOrInput(cmd *cobra.Command, file string) ([]byte, error) {
	if file != "-" {
		return os.ReadFile(file)
	}
	var b bytes.Buffer
	_, err := b.ReadFrom(cmd.InOrStdin())
	return b.Bytes(), err
}

// edit puts the gateway in, or takes it out.
func (a *attachment) edit(text []byte) ([]byte, error) {
	if a.remove {
		if envoy.Marked(text) == 0 {
			a.warn("the gateway is not in this file: it stays as it is")
		}
		return envoy.Detach(text)
	}
	hash := sha256.Sum256(text)
	pieces, err := a.pieces(hex.EncodeToString(hash[:8]))
	if err != nil {
		return nil, err
	}
	merged, at, err := envoy.Attach(text, a.place, envoy.Pieces(pieces))
	if err != nil {
		return nil, err
	}
	for _, name := range a.off {
		if !slices.Contains(at.Filters, name) {
			return nil, fmt.Errorf("--without-filter %q must be one of your filters before the router, which are: %s", name, strings.Join(at.Filters, ", "))
		}
	}
	a.advise(at)
	return merged, nil
}

// pieces are what is added. The id marks the requests that pass, so that one that comes back is
// known.
func (a *attachment) pieces(id string) (xds.Pieces, error) {
	older, err := a.olderEnvoy()
	if err != nil {
		return xds.Pieces{}, err
	}
	if err := checkPrefix(a.prefix); err != nil {
		return xds.Pieces{}, err
	}
	cfg, err := a.load()
	if err != nil {
		return xds.Pieces{}, err
	}
	folder, err := filepath.Abs(a.runFolder)
	if err != nil {
		return xds.Pieces{}, err
	}
	files := runFiles(folder)
	at, err := addressesFrom(a.loopback, files)
	if err != nil {
		return xds.Pieces{}, err
	}
	built, err := control.New(control.Config{
		Frame:  func() (xds.Config, error) { return frame(a.getenv, files, at, "") },
		Prices: pricing.Default(), DemoSocket: at.demo,
	}).EnvoyConfig(cfg)
	if err != nil {
		return xds.Pieces{}, err
	}
	if built.Journal, err = a.journal(files); err != nil {
		return xds.Pieces{}, err
	}
	built.ID, a.accessLog = id, built.Journal
	return xds.Attachment{Config: built, XDSSocket: at.xds, Prefix: a.prefix, Health: a.health, Off: a.off, WithoutGroups: older || a.single, ExtProc: a.extProc}.Pieces()
}

// journal is the access log that the agent reads.
func (a *attachment) journal(files runFiles) (string, error) {
	if a.accessLog != "" {
		if name := stateFiles("").accessLog(); filepath.Base(a.accessLog) != name {
			return "", fmt.Errorf("--access-log %q must be %s in the agent's state folder (AI_GATEWAY_STATE_DIR): the agent reads no other file", a.accessLog, name)
		}
		return filepath.Abs(a.accessLog)
	}
	cfg, err := a.load()
	if err != nil {
		return "", err
	}
	if !persists(cfg) {
		return stateFiles(files.path("state")).accessLog(), nil
	}
	state, err := stateOf(cfg, a.getenv)
	return state.accessLog(), err
}

var versionPattern = regexp.MustCompile(`^v?1\.(\d{1,3})(\.\d{1,3})?$`)

// olderEnvoy reports whether the Envoy cannot choose a cluster for each attempt.
func (a *attachment) olderEnvoy() (bool, error) {
	parts := versionPattern.FindStringSubmatch(a.version)
	if parts == nil {
		return false, fmt.Errorf("--envoy-version %q must be a version as 1.%d", a.version, withGroups)
	}
	minor, _ := strconv.Atoi(parts[1]) // three digits
	if minor < firstAttachable {
		return false, fmt.Errorf("--envoy-version %s: the gateway can be attached to an Envoy from 1.%d on", a.version, firstAttachable)
	}
	if minor < withGroups {
		a.warn(fmt.Sprintf("in an Envoy older than 1.%d a request goes to one backend, the first of its model that serves: after a failed call no other one is called within the request. "+
			"And the routes name the backends that are configured now: attach again when you add one.", withGroups))
	}
	return minor < withGroups, nil
}

var prefixPattern = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

func checkPrefix(prefix string) error {
	if prefix != "" && (!prefixPattern.MatchString(prefix) || path.Clean(prefix) != prefix) {
		return errors.New("--prefix \"" + prefix + "\" must be a path such as /ai, without a slash at its end")
	}
	return nil
}

// advise says what the merged configuration needs besides.
func (a *attachment) advise(at envoy.Summary) {
	fmt.Fprintf(a.stderr, "attached to the virtual host %q of the listener %q\n", at.VirtualHost, at.Listener)
	on := slices.DeleteFunc(slices.Clone(at.Filters), func(name string) bool { return slices.Contains(a.off, name) })
	if len(on) > 0 {
		fmt.Fprintf(a.stderr, "these filters of yours run for the gateway's requests too, before its own (--without-filter NAME turns one off there): %s\n", strings.Join(on, ", "))
	}
	options := ""
	if a.loopback != "" {
		options = " --loopback " + a.loopback
	}
	if at.Admin != "" {
		options += " --envoy-admin " + at.Admin
	} else {
		a.warn("this Envoy has no admin interface: the agent cannot see which backends fail, nor have the access log reopened when it grows")
	}
	fmt.Fprintf(a.stderr, "make the folders of its agent first, before Envoy looks at this, as Envoy's user:\n  mkdir -p -m 0700 %s %s\n", a.runFolder, filepath.Dir(a.accessLog))
	fmt.Fprintf(a.stderr, "start Envoy with --file-flush-interval-msec 250, and next to it, as the same user:\n  ai-gateway serve --role agent --attached --run-folder %s%s\n", a.runFolder, options)
}

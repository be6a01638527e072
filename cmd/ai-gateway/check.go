package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ai-gateway/config"
	"ai-gateway/control"
	"ai-gateway/envoy"
	"ai-gateway/pricing"
	"ai-gateway/xds"
)

const validateWithin = 30 * time.Second

func (w world) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration file, and have Envoy check its own part; fails if anything is wrong",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := w.configFile()
			if len(args) > 0 {
				file = args[0]
			}
			if file == "" {
				return errors.New("name the file: ai-gateway check FILE")
			}
			return w.check(cmd.Context(), file)
		},
	}
}

func (w world) check(ctx context.Context, file string) error {
	cfg, err := config.Load(file, w.getenv)
	if err != nil {
		return err
	}
	binary, err := envoy.Find(ctx, w.getenv)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ai-gateway-check-")
	if err != nil {
		return fmt.Errorf("making a folder for Envoy's configuration: %w", err)
	}
	defer os.RemoveAll(dir)
	rendered, err := w.render(cfg, dir)
	if err != nil {
		return err
	}
	if err := validate(ctx, binary.Path, filepath.Join(dir, "envoy.json"), rendered); err != nil {
		return err
	}
	fmt.Fprintf(w.stdout, "%s is valid: %d backends, %d models; Envoy %s accepts its configuration\n",
		file, len(cfg.Routes.Backends), len(cfg.Routes.Models), binary.Version)
	return nil
}

// render returns Envoy's configuration for ours, as one file.
func (w world) render(cfg config.Config, dir string) ([]byte, error) {
	files := runFiles(dir)
	return control.New(control.Config{
		Frame:  func() (xds.Config, error) { return frame(w.getenv, files, files.addresses(), stateFiles(dir)) },
		Prices: pricing.Default(), DemoSocket: files.demoSocket(),
	}).Static(cfg)
}

// validate has Envoy check a file. The file contains keys and is removed with its folder.
func validate(ctx context.Context, binary, path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("writing Envoy's configuration: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, validateWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "--mode", "validate", "--config-path", path, "--config-yaml", envoy.Runtime, "--log-level", "error", "--log-format", "%v")
	cmd.Env = []string{}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.Join(fmt.Errorf("envoy refuses the configuration: %w", err), errors.New(strings.TrimSpace(string(out))))
	}
	return nil
}

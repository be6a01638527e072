package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"ai-gateway/config"
	dashboardapi "ai-gateway/dashboard-api"
)

func (w world) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the configuration, its file and the environment together",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("config has the command show: ai-gateway config show")
		},
	}
	cmd.AddCommand(w.configShowCommand(), w.configDocsCommand())
	return cmd
}

// configFile is the configuration file, "" for none.
func (w world) configFile() string { return cmp.Or(*w.file, w.getenv(config.FileVariable)) }

func (w world) load() (config.Config, error) { return config.Load(w.configFile(), w.getenv) }

// warnOfMisspelt warns of misspelt variables, which nothing reads.
func (w world) warnOfMisspelt() {
	for _, warning := range config.Misspelt(os.Environ()) {
		fmt.Fprintln(w.stderr, "warning:", warning)
	}
}

func (w world) configShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Print the effective configuration, each value with its source",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			w.warnOfMisspelt()
			text, err := config.Show(w.configFile(), w.getenv)
			fmt.Fprintf(w.stdout, "%s", text)
			return err
		},
	}
}

func (w world) configDocsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "docs DIR",
		Short:  "Write the schemas and the tables of the documentation; for developers",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE:   func(_ *cobra.Command, args []string) error { return writeDocs(args[0]) },
	}
}

func writeDocs(dir string) error {
	schema, err := config.Schema()
	if err != nil {
		return err
	}
	page := filepath.Join(dir, "configuration.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	filled, err := config.Document(string(text))
	if err != nil {
		return fmt.Errorf("filling in %s: %w", page, err)
	}
	if err := os.WriteFile(page, []byte(filled), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "ai-gateway.schema.json"), schema, 0o644); err != nil {
		return err
	}
	api, err := dashboardapi.OpenAPI()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "openapi.json"), api, 0o644)
}

package fakeprovider

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/txtar"
)

// Load plays the scenarios of a folder, one a *.txtar file. The file's comment
// has a line "model: NAME", and one "repeat" if any number of calls is right; its
// files are the replies, in order, as ParseReply reads them.
func (p *Provider) Load(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return fmt.Errorf("looking for scenarios in %q: %w", dir, err)
	}
	if len(paths) == 0 {
		return fmt.Errorf("no scenario (*.txtar) in %q", dir)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading a scenario: %w", err)
		}
		model, s, err := ParseScenario(data)
		if err != nil {
			return fmt.Errorf("reading scenario %q: %w", path, err)
		}
		p.Play(model, s)
	}
	return nil
}

// ParseScenario reads one scenario's file.
func ParseScenario(data []byte) (model string, s Scenario, err error) {
	archive := txtar.Parse(data)
	for line := range strings.Lines(string(archive.Comment)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "model:"); ok {
			model = strings.TrimSpace(name)
		}
		s.Repeat = s.Repeat || line == "repeat"
	}
	if model == "" {
		return "", Scenario{}, fmt.Errorf("no line \"model: NAME\" before the replies")
	}
	for _, file := range archive.Files {
		reply, err := ParseReply(string(file.Data))
		if err != nil {
			return "", Scenario{}, fmt.Errorf("%s: %w", file.Name, err)
		}
		s.Replies = append(s.Replies, reply)
	}
	return model, s, nil
}

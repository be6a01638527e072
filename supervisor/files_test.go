package supervisor

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

func TestChildrenMayOpenAsManyFilesAsThisProcess(t *testing.T) {
	files, err := RaiseFileLimit()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", "ulimit -n").Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != fmt.Sprint(files) && got != "unlimited" {
		t.Errorf("a child may open %s, this process %d: %v", got, files, err)
	}
}

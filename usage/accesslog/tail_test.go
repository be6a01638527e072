package accesslog

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRotatedLogsAreFoundInAnyFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[1]*?")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j := Tail{path: filepath.Join(dir, "journal.log")}
	for _, name := range []string{"", ".000000002", ".000000001", ".bak"} {
		if err := os.WriteFile(j.path+name, []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	paths, inodes, err := j.files()
	if err != nil || len(paths) != 3 || len(inodes) != 3 || paths[0] != j.path+".000000001" || paths[2] != j.path {
		t.Errorf("%v, %v", paths, err)
	}
}

func FuzzLinesNeverPanic(f *testing.F) {
	f.Add(`{"id":"0192f0c0-0000-7000-8000-000000000001","status":200,"duration_ms":1234,"ttft_ms":210,"attempts":2,"backend":"upstream","bytes_sent":4000,` +
		`"flags":"-","usage":"1 2 3 4 5","tries":"|upstream 1700000000000 503 1700000000050|upstream 1700000000200 200 1700000000300"}`)
	f.Add(`{"id":"0","status":"-","duration_ms":null,"attempts":-1,"usage":"1 2 3 4","tries":"|a 1|b 2 3 4"}`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse([]byte(text))
		if err == nil && (l.Status < 0 || l.Attempts < 0 || l.BytesSent < 0) {
			t.Errorf("%q gives %+v", text, l)
		}
	})
}

package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"ai-gateway/pricing"
)

const (
	data    = "genai_prices/data.py"
	info    = "genai_prices-1.2.3.dist-info"
	licence = info + "/licenses/LICENSE"
)

// sample is the sample of the package, by path.
func sample(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{data, info + "/METADATA", licence} {
		b, err := os.ReadFile(filepath.Join("testdata", "wheel", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	return files
}

// built is what the tool says to a package.
func built(t *testing.T, files map[string]string) (table, left string, err error) {
	t.Helper()
	packed := fstest.MapFS{}
	for name, text := range files {
		packed[name] = &fstest.MapFile{Data: []byte(text)}
	}
	wheel := filepath.Join(t.TempDir(), "sample.whl")
	f, err := os.Create(wheel)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for _, step := range []func() error{func() error { return w.AddFS(packed) }, w.Close, f.Close} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr strings.Builder
	err = run([]string{"-from", wheel, "-date", "2026-11-24"}, &stdout, &stderr)
	return stdout.String(), stderr.String(), err
}

func TestATableIsMadeOfThePackage(t *testing.T) {
	table, left, err := built(t, sample(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"prices.csv": table, "left.txt": left} {
		want, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
	if _, err := pricing.Parse(table); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeReadExactlyIsRefused(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"'2.50'", "'2.5000000001'", `provider "openai": model "gpt-4o": input_mtok: amount "2.5000000001" has more than 9 decimals`},
		{"'2.50'", "'-2.50'", `provider "openai": model "gpt-4o": input_mtok: amount "-2.50" must be a decimal`},
		{"'2.50'", "'25E-1'", `amount "25E-1" must be a decimal`},
		{"'2.50'", "'250000'", `model "gpt-4o" of "azure": 250000 USD per million tokens is more than 10000`},
		{"Decimal('2.50')", "2.5", `provider "openai": model "gpt-4o": input_mtok: 2.5 is no decimal`},
		{"start=272000", "start='many'", `"many"`},
		{"Tier(start=200000", "Step(start=200000", `"Step" is no Tier`},
		{"datetime.date(2025, 6, 10)", "datetime.date(2025, 6, 31)", "day out of range"},
		{"datetime.date(2025, 6, 10)", "datetime.date(2027, 6, 10)", "prices are not in the order of their dates"},
		{"datetime.time(1, 0, tzinfo=datetime.UTC)", "datetime.time(1, 0, tzinfo=CET)", "is no datetime.time in UTC"},
		{"constraint=None", "constraint=StartDateConstraint(start_date=datetime.date(2024, 1, 1))", "no price for all time comes first"},
		{"StartDateConstraint(start_date=datetime.date(2025, 6, 10))", "WeekdayConstraint(days=[6, 7])", "constraint WeekdayConstraint is not known"},
		{"id='gpt-4o-2024-05-13',\n                match=ClauseEquals(equals='gpt-4o-2024-05-13')", "id='gpt-4o-2024-05-13', match=ClauseEquals(equals='gpt-4o')", `name "gpt-4o" has two prices`},
		{"when={'service_tier': 'priority'}", "when=None", "when of PriceVariant is main.word"},
		{"id='gpt-audio'", "id=None", "id of ModelInfo is main.word"},
		{"providers: list[Provider] =", "providers =", "in the data"},
		{"\n]\n", "\n] + more\n", "the expression goes on"},
		{"'Microsoft Azure'", "'Microsoft \\x41zure'", `line 13: the escape \x is not known`},
		{"'Microsoft Azure'", "'Microsoft", "line 13: a string does not end"},
		{"name='Microsoft Azure',", "name=,", "line 13: a value is missing"},
		{"name='Microsoft Azure',", "name='Microsoft Azure'", "line 14: ',' is missing"},
	} {
		files := sample(t)
		files[data] = strings.Replace(files[data], c.old, c.new, 1)
		if table, _, err := built(t, files); err == nil || !strings.Contains(err.Error(), c.want) || table != "" {
			t.Errorf("with %s for %s: %v, want %s", c.new, c.old, err, c.want)
		}
	}
}

func TestAPackageWithoutItsLicenceIsRefused(t *testing.T) {
	files := sample(t)
	files[licence] = "All rights reserved."
	if _, _, err := built(t, files); err == nil {
		t.Error("another licence is accepted")
	}
	delete(files, licence)
	if _, _, err := built(t, files); err == nil {
		t.Error("no licence is accepted")
	}
}

func TestADateMustBeSaid(t *testing.T) {
	var said strings.Builder
	if err := run([]string{"-from", "sample.whl"}, &said, &said); err == nil || !strings.Contains(err.Error(), "reading the date") {
		t.Errorf("error %v", err)
	}
}

func FuzzPythonIsReadOrRefused(f *testing.F) {
	f.Add(`[Provider(id='a', n=-1.5, o=None, m={'b': [1,], "c": datetime.date(2026, 3, 1)})]`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parsePython(text, 0); err != nil && err.Error() == "" {
			t.Error("an error says nothing")
		}
	})
}

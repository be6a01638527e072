package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatIsEasilyMistakenIsRefusedWithWhatWouldBeRight(t *testing.T) {
	for _, m := range []struct{ variable, text, want string }{
		{"DATABASE_PATH", "sqlite:///data/gateway.db", "must be only the path of a SQLite file, such as /data/gateway.db, without sqlite:"},
		{"DATABASE_PATH", "sqlite:gateway.db", "without sqlite:"},
		{"DATABASE_PATH", "file:gateway.db?mode=rwc", "without file:"},
		{"DATABASE_PATH", "mysql://me:hunter2@h/db", "without mysql:"},
		{"DATABASE_PATH", "postgres://me:hunter2@h/db", "put the URL of a PostgreSQL database into DATABASE_URL"},
		{"DB_PATH", "PostgreSQL://me:hunter2@h/db", "put the URL of a PostgreSQL database into DATABASE_URL"},
		{"DATABASE_PATH", "host=h user=me password=hunter2", "put the URL of a PostgreSQL database into DATABASE_URL"},
		{"DATABASE_PATH", `"/data/gateway.db"`, "has quotes around it: leave them out"},
		{"DATABASE_PATH", "${HOME}/gateway.db", "variables are not expanded"},
		{"PORT", "${PORT:-3002}", "variables are not expanded"},
		{"OPENAI_API_KEY", `"sk-hunter2"`, "has quotes around it"},
		{"OPENAI_API_KEY", `'sk-hunter2'`, "has quotes around it"},
		{"OPENAI_API_KEY", "OPENAI_API_KEY=sk-hunter2", "has a variable's name and = before it"},
		{"OPENAI_API_KEY", "export OPENAI_API_KEY=sk-hunter2", "has a variable's name and = before it"},
		{"OPENAI_API_KEY", "Bearer sk-hunter2", "Bearer before it"},
		{"OPENAI_API_KEY", "${KEY_hunter2}", "variables are not expanded"},
		{"OPENAI_API_KEY", "$KEY_hunter2", "variables are not expanded"},
		{"AI_GATEWAY_ADMIN_KEY", `"agw_hunter2hunter2hunter2hunter2hunter2"`, "has quotes around it"},
		{"AI_GATEWAY_UPSTREAM", "https://h/v1/chat/completions", `must end before "/chat/completions", which is appended to it: https://h/v1`},
		{"AI_GATEWAY_UPSTREAM", "https://h/v1/Embeddings/", `must end before "/Embeddings", which is appended to it: https://h/v1`},
		{"AI_GATEWAY_UPSTREAM", "https://h/v1/models", "which is appended to it"},
		{"AI_GATEWAY_MODEL_ROUTES", "a:https://h/v1/completions", "which is appended to it"},
		{"AI_GATEWAY_MODEL_ROUTES", "a:http://h/v1;b:http://h2/v1", "contains two URLs: routes are separated by commas"},
		{"AI_GATEWAY_MODEL_ROUTES", "a:http://h/v1 b:http://h2/v1", "contains two URLs: routes are separated by commas"},
	} {
		_, err := Load("", env(m.variable, m.text))
		if err == nil || !strings.Contains(err.Error(), m.variable) || !strings.Contains(err.Error(), m.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s=%s: %v", m.variable, m.text, err)
		}
	}
}

func TestWhatOnlyLooksMistakenIsTaken(t *testing.T) {
	for variable, text := range map[string]string{
		"DATABASE_PATH":  "/data/a=b:c.db",
		"OPENAI_API_KEY": "QUJD==", "AI_GATEWAY_UPSTREAM": "https://h/models/v1",
	} {
		if _, err := Load("", env(variable, text)); err != nil {
			t.Errorf("%s=%s: %v", variable, text, err)
		}
	}
}

func TestAFilesValuesHoldNoVariables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ai-gateway.yaml")
	text := "backends:\n- {name: a, base_url: \"https://${HOST}/v1\", api_key: {env: \"${KEY}\"}}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, env())
	if err == nil || strings.Count(err.Error(), "variables are not expanded") != 2 {
		t.Error(err)
	}
}

package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

func receive(w http.ResponseWriter, r *http.Request) {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("OPS_HOOK_SECRET"), "whsec_"))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
	id, stamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	sent, _ := strconv.ParseInt(stamp, 10, 64)
	late := time.Since(time.Unix(sent, 0)).Abs() > 5*time.Minute
	if err != nil || late || !hmac.Equal([]byte(want), []byte(r.Header.Get("webhook-signature"))) {
		http.Error(w, "not signed by us", http.StatusUnauthorized)
		return
	}
	fmt.Printf("%s\n", body)
}

// The receiver that the manual has takes what is signed, and nothing else.
func TestReceiver(t *testing.T) {
	manual, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.ReadFile("receiver_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(manual), "```go\n")
	text, _, _ = strings.Cut(text, "```")
	if !strings.Contains(string(here), text) || len(text) < 100 {
		t.Error("the receiver of the manual is not the one of this test")
	}
	key := []byte("a key of twenty-four byte")
	t.Setenv("OPS_HOOK_SECRET", "whsec_"+base64.StdEncoding.EncodeToString(key))
	s := httptest.NewServer(http.HandlerFunc(receive))
	defer s.Close()
	for _, c := range []struct {
		secret []byte
		taken  bool
	}{{key, true}, {[]byte("another key of twenty-four"), false}, {nil, false}} {
		w, err := newWebhook(&spec.Webhook{URL: s.URL, Secret: c.secret}, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.send(t.Context(), testDelivery(t)); (err == nil) != c.taken {
			t.Errorf("%q: %v", c.secret, err)
		}
	}
}

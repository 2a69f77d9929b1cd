package edge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// tolerance is how far the time of a signed notification may be from ours.
	tolerance = 5 * time.Minute
	// maxIDs is how many notifications are remembered.
	maxIDs = 4096
)

// signed is whether a notification says that it is signed.
func signed(h http.Header) bool { return h.Get("Webhook-Signature") != "" }

// verify checks the signature of a notification as Standard Webhooks has it
// (https://github.com/standard-webhooks/standard-webhooks): the key is the secret. One
// that has none is as good as elchi's documents have it.
func verify(h http.Header, secret string, body []byte, now time.Time) error {
	id, stamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	sec, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || id == "" || len(id) > maxHash {
		return errors.New("it has no id and time")
	}
	if age := now.Sub(time.Unix(sec, 0)); age > tolerance || age < -tolerance {
		return fmt.Errorf("its time is more than %v from ours", tolerance)
	}
	m := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(m, "%s.%s.", id, stamp)
	m.Write(body)
	sum := m.Sum(nil)
	for s := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		version, text, _ := strings.Cut(s, ",")
		if mac, err := base64.StdEncoding.DecodeString(text); version == "v1" && err == nil && hmac.Equal(mac, sum) {
			return nil
		}
	}
	return errors.New("its signature is not that of the body")
}

// memory remembers the ids of signed notifications that were done, for as long as their
// times are taken: one that somebody has recorded does nothing when it comes again.
type memory struct {
	mu    sync.Mutex
	ids   map[string]time.Time // until when
	order []string             // the next to be forgotten first
}

// knows is whether an id was done.
func (m *memory) knows(id string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ids[id].After(now)
}

// add remembers an id; when there are too many, in place of the oldest.
func (m *memory) add(id string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ids == nil {
		m.ids = map[string]time.Time{}
	}
	for len(m.order) > 0 && (len(m.order) >= maxIDs || !m.ids[m.order[0]].After(now)) {
		delete(m.ids, m.order[0])
		m.order = m.order[1:]
	}
	if _, known := m.ids[id]; !known {
		m.order = append(m.order, id)
	}
	m.ids[id] = now.Add(2 * tolerance)
}

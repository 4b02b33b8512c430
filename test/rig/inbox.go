package rig

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// Notification is one alert of one message of an Alertmanager to a webhook.
type Notification struct {
	// Receiver is the name of the receiver in Alertmanager's configuration.
	Receiver string `json:"-"`
	// Received is when the message came.
	Received time.Time `json:"-"`
	// Status is firing or resolved.
	Status      string
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    time.Time
}

// Inbox receives what an Alertmanager delivers, and keeps it in order.
type Inbox struct {
	// URL is where to deliver.
	URL string

	mu       sync.Mutex
	received []Notification
}

// newInbox listens on the loopback interface until the server is closed.
func newInbox() (*Inbox, *httptest.Server) {
	in := &Inbox{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The form of Alertmanager's webhook messages, version 4.
		var message struct {
			Version, Receiver string
			Alerts            []Notification
		}
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil || message.Version != "4" {
			http.Error(w, "not a message of an Alertmanager", http.StatusBadRequest)
			return
		}
		in.add(message.Receiver, message.Alerts)
	}))
	in.URL = server.URL
	return in, server
}

func (in *Inbox) add(receiver string, alerts []Notification) {
	in.mu.Lock()
	defer in.mu.Unlock()
	now := time.Now()
	for _, a := range alerts {
		a.Receiver, a.Received = receiver, now
		in.received = append(in.received, a)
	}
}

// Of returns what was received of the alerts that have these labels, oldest
// first.
func (in *Inbox) Of(labels map[string]string) []Notification {
	in.mu.Lock()
	defer in.mu.Unlock()
	var out []Notification
	for _, n := range in.received {
		if hasLabels(n.Labels, labels) {
			out = append(out, n)
		}
	}
	return slices.Clip(out)
}

func hasLabels(got, want map[string]string) bool {
	for name, value := range want {
		if got[name] != value {
			return false
		}
	}
	return true
}

// String is for messages of tests: one line for each notification.
func (n Notification) String() string {
	var b strings.Builder
	b.WriteString(n.Received.Format("15:04:05.000 ") + n.Status + " to " + n.Receiver + ":")
	for _, name := range slices.Sorted(maps.Keys(n.Labels)) {
		b.WriteString(" " + name + "=" + n.Labels[name])
	}
	return b.String()
}

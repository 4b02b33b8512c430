package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/lifeboat-backup/lifeboat/cmd/internal/web"
	"github.com/lifeboat-backup/lifeboat/exporter"
)

func newServer(e *exporter.Exporter, read reports, s settings) (*http.Server, error) {
	handler, err := newHandler(e, read, s.log)
	if err != nil {
		return nil, err
	}
	return s.web.NewServer(handler, s.log), nil
}

// newHandler serves the metrics, what they say for people, and whether the
// process is alive and ready.
func newHandler(e *exporter.Exporter, read reports, log *slog.Logger) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	page, err := pageTemplate()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(together(e, registry), promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError),
		// A metric that cannot be served is a mistake of ours: better no
		// answer, which alerts, than one with a hole in it.
		ErrorHandling:     promhttp.HTTPErrorOnError,
		Registry:          registry,
		EnableOpenMetrics: true,
	})
	mux.Handle("GET /metrics", web.Bounded(metrics, web.MetricsLimits()))
	web.Health(mux, func() error {
		if !e.Ready() {
			return errors.New("a source has not been tried yet")
		}
		return nil
	})
	pages := http.NewServeMux()
	pages.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, r *http.Request) { statusJSON(w, r, e.Status()) })
	pages.HandleFunc("GET /evidence", func(w http.ResponseWriter, r *http.Request) { evidencePage(w, r, read) })
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { statusPage(w, r, page, e.Status()) })
	mux.Handle("/", web.Bounded(pages, web.PageLimits()))
	return mux, nil
}

// together gathers from sources that have no metric in common, without the checks
// that prometheus.Gatherers makes again of what each of them has checked.
func together(gatherers ...prometheus.Gatherer) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		var all []*dto.MetricFamily
		for _, g := range gatherers {
			families, err := g.Gather()
			if err != nil {
				return nil, err
			}
			all = append(all, families...)
		}
		slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
		return all, nil
	})
}

func listen(ctx context.Context, addresses []string) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, address := range addresses {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

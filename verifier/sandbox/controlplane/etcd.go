package main

import (
	"context"
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

const (
	etcdDir = "etcd"
	// etcdURL is a socket in the working directory, which is the data directory:
	// no one but this user can open it, and its name cannot grow too long.
	etcdURL = "unix://etcd.sock"
)

// startEtcd runs etcd in this process for as long as the process lives. It is
// made for a store that is thrown away: nothing is synced to disk, little is
// kept in memory for peers that cannot come, and it has no port at all.
func startEtcd(ctx context.Context) error {
	socket, err := url.Parse(etcdURL)
	if err != nil {
		return fmt.Errorf("parse address of etcd: %w", err)
	}
	// etcd wants the address its peers would use, but opens none of its own.
	nowhere := url.URL{Scheme: "http", Host: "localhost:0"}

	cfg := embed.NewConfig()
	cfg.Dir = etcdDir
	cfg.ListenClientUrls = []url.URL{*socket}
	cfg.AdvertiseClientUrls = []url.URL{nowhere}
	cfg.ListenPeerUrls = nil
	cfg.AdvertisePeerUrls = []url.URL{nowhere}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = true
	cfg.LogOutputs = []string{"etcd.log"}
	cfg.LogLevel = "warn"
	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration // 0 would warn of every request
	// A member alone elects itself after one timeout.
	cfg.TickMs, cfg.ElectionMs = 20, 100
	cfg.QuotaBackendBytes = 8 << 30 // etcd's own advice for the largest; no memory is taken until used
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 2000, 100
	wal.SegmentSizeBytes = 8 << 20

	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-server.Server.ReadyNotify():
		return nil
	case err := <-server.Err():
		return fmt.Errorf("start etcd: %w", err)
	case <-ctx.Done():
		return fmt.Errorf("start etcd: %w", context.Cause(ctx))
	}
}

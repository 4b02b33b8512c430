package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const etherIPv4 = 0x0800

// sendFrame writes a UDP packet over IPv4 (RFC 791, RFC 768, without the
// optional checksum) to the wire of eth0.
func sendFrame(host, port string) error {
	to, err := netip.ParseAddr(host)
	if err != nil {
		return err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	wire, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	table, err := os.ReadFile("/proc/net/arp")
	if err != nil {
		return err
	}
	neighbour, err := hardware(string(table), host)
	if err != nil {
		return err
	}
	from, err := ipv4Of(wire)
	if err != nil {
		return err
	}
	frame := bytes.Join([][]byte{neighbour, wire.HardwareAddr, {etherIPv4 >> 8, etherIPv4 & 0xff}, packet(from, to, uint16(number), []byte("frame"))}, nil)
	socket, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	defer syscall.Close(socket)
	return syscall.Sendto(socket, frame, 0, &syscall.SockaddrLinklayer{Ifindex: wire.Index, Halen: 6})
}

// hardware is the address of a neighbour in /proc/net/arp.
func hardware(table, host string) (net.HardwareAddr, error) {
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 3 && f[0] == host {
			return net.ParseMAC(f[3])
		}
	}
	return nil, fmt.Errorf("%s is no neighbour that was spoken to", host)
}

func ipv4Of(wire *net.Interface) (netip.Addr, error) {
	addrs, err := wire.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%s has no IPv4 address", wire.Name)
}

func packet(from, to netip.Addr, port uint16, data []byte) []byte {
	head := make([]byte, 28)
	head[0], head[8], head[9] = 0x45, 64, syscall.IPPROTO_UDP
	binary.BigEndian.PutUint16(head[2:], uint16(len(head)+len(data)))
	copy(head[12:], from.AsSlice())
	copy(head[16:], to.AsSlice())
	binary.BigEndian.PutUint16(head[10:], checksum(head[:20]))
	binary.BigEndian.PutUint16(head[20:], port)
	binary.BigEndian.PutUint16(head[22:], port)
	binary.BigEndian.PutUint16(head[24:], uint16(8+len(data)))
	return append(head, data...)
}

func checksum(head []byte) uint16 {
	var sum uint32
	for i := 0; i < len(head); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(head[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

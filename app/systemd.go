package app

import (
	"net"
	"os"
)

// notifySystemd tells the service manager that started the process of a change
// of state (sd_notify(3)). It does nothing when none did.
func notifySystemd(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if path[0] == '@' {
		path = "\x00" + path[1:] // the abstract namespace
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, err = c.Write([]byte(state))
	return err
}

// tell tells systemd.
func (a *App) tell(state string) {
	if err := notifySystemd(state); err != nil {
		a.log.Warn("systemd not told", "state", state, "error", err)
	}
}

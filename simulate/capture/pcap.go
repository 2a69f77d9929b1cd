package capture

import "encoding/binary"

// The formats are those of draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d

	pcapHeader   = 24
	recordHeader = 16
)

// pcap reads a file of libpcap: a header, and records with a header each.
func (in *input) pcap() error {
	head, err := in.take(pcapHeader)
	if err != nil {
		return err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if m := binary.BigEndian.Uint32(head); m == magicMicro || m == magicNano {
		order = binary.BigEndian
	}
	// The upper bits of the link type may hold the length of a checksum.
	link := order.Uint32(head[20:]) & 0xffff
	if !knownLink(link) {
		return in.fault("%w", unknownLink(link))
	}
	for {
		in.frame++
		h, err := in.take(recordHeader)
		if err != nil {
			return err
		}
		b, err := in.rest(order.Uint32(h[8:]))
		if err != nil {
			return err
		}
		if err := in.packet(link, b); err != nil {
			return err
		}
	}
}

// The blocks of pcapng.
const (
	blockInterface = 1
	blockPacket    = 2 // obsolete, and still written
	blockSimple    = 3
	blockEnhanced  = 6
	blockSection   = 0x0a0d0d0a

	orderMagic  = uint32(0x1a2b3c4d)
	blockHeader = 8
	blockTail   = 4
)

// section is what the packets of one section of a pcapng file refer to.
type section struct {
	order binary.ByteOrder
	links []uint32 // of the interfaces, in their order
	snaps []uint32 // the most that is kept of a packet; 0: all
}

// maxInterfaces is more than a machine has.
const maxInterfaces = 1 << 16

// pcapng reads blocks, each with its length before and behind it.
func (in *input) pcapng() error {
	s := section{order: binary.LittleEndian}
	for {
		in.frame++
		if in.frame == 1 || s.begins(in) {
			if err := in.section(&s); err != nil {
				return err
			}
			continue
		}
		h, err := in.take(blockHeader)
		if err != nil {
			return err
		}
		kind, size := s.order.Uint32(h), s.order.Uint32(h[4:])
		if size < blockHeader+blockTail || size%4 != 0 {
			return in.fault("a block of %d bytes: the file is damaged", size)
		}
		b, err := in.rest(size - blockHeader)
		if err != nil {
			return err
		}
		if err := in.block(&s, kind, b[:len(b)-blockTail]); err != nil {
			return err
		}
	}
}

// begins is whether another section comes next: its first word is the same in
// either byte order, and its length is not known before the order is.
func (s *section) begins(in *input) bool {
	b, err := in.r.Peek(4)
	return err == nil && binary.BigEndian.Uint32(b) == blockSection
}

// section reads the block that begins a section.
func (in *input) section(s *section) error {
	const fixed = blockHeader + 4
	h, err := in.take(fixed)
	if err != nil {
		return err
	}
	switch orderMagic {
	case binary.LittleEndian.Uint32(h[8:]):
		s.order = binary.LittleEndian
	case binary.BigEndian.Uint32(h[8:]):
		s.order = binary.BigEndian
	default:
		return in.fault("a section without its byte order: the file is damaged")
	}
	s.links, s.snaps = s.links[:0], s.snaps[:0]
	size := s.order.Uint32(h[4:])
	if size < fixed+blockTail || size%4 != 0 {
		return in.fault("a section header of %d bytes: the file is damaged", size)
	}
	_, err = in.rest(size - fixed)
	return err
}

// block reads the body of a block.
func (in *input) block(s *section, kind uint32, b []byte) error {
	switch kind {
	case blockInterface:
		if len(b) < 8 {
			return in.fault("an interface in %d bytes: the file is damaged", len(b))
		}
		if len(s.links) == maxInterfaces {
			return in.fault("more than %d interfaces", maxInterfaces)
		}
		s.links = append(s.links, uint32(s.order.Uint16(b)))
		s.snaps = append(s.snaps, s.order.Uint32(b[4:]))
		return nil
	case blockEnhanced, blockPacket:
		const fixed = 20
		if len(b) < fixed {
			return in.fault("a packet in %d bytes: the file is damaged", len(b))
		}
		at := s.order.Uint32(b)
		if kind == blockPacket {
			at = uint32(s.order.Uint16(b))
		}
		return in.framed(s, at, s.order.Uint32(b[12:]), b[fixed:])
	case blockSimple:
		if len(b) < 4 {
			return in.fault("a packet in %d bytes: the file is damaged", len(b))
		}
		size := min(s.order.Uint32(b), uint32(len(b)-4))
		if len(s.snaps) > 0 && s.snaps[0] > 0 {
			size = min(size, s.snaps[0])
		}
		return in.framed(s, 0, size, b[4:])
	}
	return nil // statistics, names, and what will be invented
}

// framed reads a packet of an interface that stands padded in b.
func (in *input) framed(s *section, at, size uint32, b []byte) error {
	switch {
	case uint64(at) >= uint64(len(s.links)):
		return in.fault("a packet of interface %d, which is not described: the file is damaged", at)
	case uint64(size) > uint64(len(b)):
		return in.fault("a packet longer than its block: the file is damaged")
	case !knownLink(s.links[at]):
		in.counts.Other++ // another interface may have the queries
		return nil
	}
	return in.packet(s.links[at], b[:size])
}

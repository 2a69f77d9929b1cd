package dnswire

import (
	"encoding/binary"
	"net/netip"
)

// AppendQuery appends a query of class IN with an OPT record and ID 0. A valid
// subnet goes into it as a client subnet option (RFC 7871).
func AppendQuery(dst []byte, name Name, t Type, subnet netip.Prefix) []byte {
	dst = append(dst, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1)
	dst = AppendName(dst, name)
	dst = binary.BigEndian.AppendUint16(dst, uint16(t))
	dst = binary.BigEndian.AppendUint16(dst, uint16(ClassIN))
	var ecs *ECS
	if subnet.IsValid() {
		subnet = subnet.Masked()
		ecs = &ECS{Present: true, Family: 2, SourceBits: uint8(subnet.Bits())}
		if subnet.Addr().Is4() {
			ecs.Family = 1
		}
		copy(ecs.Addr[:], subnet.Addr().AsSlice())
	}
	return AppendOPT(dst, &OPT{ECS: ecs})
}

//go:build !sabotage

package main

import "ai-gateway/supervisor"

// No part can be taken out of the gateway as it is built for users.

func (world) sabotageProcess(p supervisor.Process) supervisor.Process { return p }
func (world) sabotageAgent(p parts) parts                             { return p }
func (world) sabotageBooks(b books) books                             { return b }

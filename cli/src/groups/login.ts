import type { Command } from 'commander'

export function addLogin(_program: Command): void {}

import type { Command } from 'commander'

export function addVault(_program: Command): void {}

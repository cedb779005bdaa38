import type { Command } from 'commander'

export function addHealth(_program: Command): void {}

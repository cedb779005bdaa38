import type { Command } from 'commander'

export function addRequests(_program: Command): void {}

import type { Command } from 'commander'

export function addProject(_program: Command): void {}

/** `completion`: the script of a shell. It asks the command itself what may come next. */
import type { Call } from '../run.js'

export async function run({ args: [shell = ''], out }: Call): Promise<void> {
  const script = SCRIPTS[shell] ?? ''
  out.answer({ shell, script }, script.trimEnd())
}

/**
 * In each: the command that was typed is the one that is asked, so that links and paths to it work. The first line of its
 * answer says whether files may come (`:files`, `:none`), the others are a value, a tab, and what it is.
 */
const SCRIPTS: Record<string, string> = {
  // Runs in the bash 3.2 of macOS too. Values come as bash is to insert them: quoted, and without what it keeps of the word.
  bash: `# bash completion of provider-auth
_provider_auth() {
  COMPREPLY=()
  local files='' value
  while IFS= read -r value; do
    case $value in
      '') ;;
      :files) files=1 ;;
      :none) ;;
      *) COMPREPLY+=("$value") ;;
    esac
  done < <("$1" complete --shell bash --breaks "$COMP_WORDBREAKS" -- "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  if [ -n "$files" ] && [ \${#COMPREPLY[@]} -eq 0 ]; then
    compopt -o default 2>/dev/null || while IFS= read -r value; do COMPREPLY+=("$value"); done < <(compgen -f -- "$2")
  fi
}
complete -F _provider_auth provider-auth
`,
  zsh: `#compdef provider-auth
_provider-auth() {
  local -a values lines
  local line
  lines=("\${(@f)$("\${(Q)words[1]}" complete --shell zsh -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  for line in "\${(@)lines[2,-1]}"; do
    [[ -n $line ]] && values+=("$line")
  done
  [[ $PREFIX == --*=* ]] && compset -P '*='
  if (( $#values )); then
    _describe -V 'provider-auth' values
  elif [[ $lines[1] == ':files' ]]; then
    _files
  fi
}
if [[ $funcstack[1] == _provider-auth ]]; then
  _provider-auth "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
  compdef _provider-auth provider-auth
fi
`,
  fish: `# fish completion of provider-auth
function __provider_auth_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] complete --shell fish -- $words[2..-1] "$current" 2>/dev/null)
    if test (count $lines) -gt 1
        printf '%s\\n' $lines[2..-1]
    else if test "$lines[1]" = :files
        __fish_complete_path "$current"
    end
end
complete -c provider-auth -f -k -a '(__provider_auth_complete)'
`,
  powershell: `# PowerShell completion of provider-auth
Register-ArgumentCompleter -Native -CommandName provider-auth -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object {
    if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
  })
  $command = if ($words.Count -gt 0) { $words[0] } else { 'provider-auth' }
  $before = @($words | Select-Object -Skip 1)
  # With a letter before it, since an empty argument is not handed on.
  & $command complete --shell powershell -- @before ('=' + $wordToComplete) 2>$null | Where-Object { $_ -match '\\t' } | ForEach-Object {
    $value, $what = $_ -split '\\t', 2
    $text = if ($value -match '[\\s''"$\`;|&(){}@#,<>]') { "'" + $value.Replace("'", "''") + "'" } else { $value }
    if (-not $what) { $what = $value }
    [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $what)
  } | Where-Object { $_.ListItemText -like ($wordToComplete.Trim("'", '"') + '*') }
}
`,
}

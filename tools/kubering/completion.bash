# kubering: completion for bash. What there is to choose from, the program itself says: flags by --help, clusters and resources of
# its daemon while that answers. The names are of servers, so nothing here expands them (compgen -W would).

_kubering_ask() { # COMMAND: the first two columns of its table
  "${COMP_WORDS[0]}" "$1" --no-headers --timeout 1s 2> /dev/null
}

_kubering_commands() {
  "${COMP_WORDS[0]}" --help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'
}

_kubering_choices() { # COMMAND-OR-EMPTY PREVIOUS CURRENT: a choice a line
  case $2 in
    --cluster | --context) _kubering_ask clusters | awk '{ print $1 }'; return ;;
    -o | --output)
      case $1 in get | watch) printf '%s\n' table name json jsonl yaml ;; *) printf '%s\n' table json ;; esac
      return ;;
    -n | --namespace | -l | --selector | --field-selector | --timeout) return ;;
    --socket) compgen -f -- "$3"; return ;;
  esac
  if [[ $3 == -* ]]; then
    "${COMP_WORDS[0]}" ${1:-get} --help | grep -o -e '--[a-z-]*' | sort -u
  elif [[ -z $1 ]]; then
    _kubering_commands
  elif [[ $1 == get || $1 == watch ]]; then
    printf '%s\n' pods services deployments configmaps nodes namespaces events
    _kubering_ask lists | awk '{ print $2 }'
  elif [[ $1 == audit ]]; then
    _kubering_ask lists | awk '{ print $1; print $1 "/" $2 }'
  fi
}

_kubering() {
  local cur=${COMP_WORDS[COMP_CWORD]} command= commands word
  commands=" $(_kubering_commands | tr '\n' ' ')"
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $commands == *" $word "* ]] && { command=$word; break; }
  done
  COMPREPLY=()
  while IFS= read -r word; do
    [[ $word == "$cur"* ]] && COMPREPLY+=("$word")
  done < <(_kubering_choices "$command" "${COMP_WORDS[COMP_CWORD-1]}" "$cur" | sort -u)
}

complete -F _kubering kubering

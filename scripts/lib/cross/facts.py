"""Prints facts about libraries of any platform as JSON: format, machine, needed libraries, names that stripping removes."""

import json
import sys

import lief


def name(symbol):
    return symbol if isinstance(symbol, str) else symbol.name


def facts(path):
    binary = lief.parse(path)
    common = {
        "format": binary.format.name,
        "needed": [name(one) for one in binary.libraries],
        "registers": any(name(one).lstrip("_") == "napi_register_module_v1" for one in binary.exported_functions),
    }
    if binary.format == lief.Binary.FORMATS.ELF:
        versions = [aux.name for need in binary.symbols_version_requirement for aux in need.get_auxiliary_symbols()]
        names = len(list(binary.symtab_symbols))
        return common | {"machine": binary.header.machine_type.name, "versions": versions, "names": names}
    if binary.format == lief.Binary.FORMATS.PE:
        return common | {"machine": binary.header.machine.name, "names": binary.header.numberof_symbols}
    names = binary.dynamic_symbol_command.nb_local_symbols
    return common | {"machine": binary.header.cpu_type.name, "signed": binary.has_code_signature, "names": names}


print(json.dumps([facts(path) for path in sys.argv[1:]]))
